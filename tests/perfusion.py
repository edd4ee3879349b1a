"""Generated arterial spin labelling: what a head with a known CBF shows, as the vendors write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import generate_uid

from lnc_dicom.study.read import read_study
from tests.diffusion import csa
from tests.factories import write_series

CBF = 60.0
"""ml/100 g/min, everywhere in the head."""
M0 = 20000.0
SHAPE = (8, 24, 20)
"""Slices, rows, columns."""
LPS_MM = np.array([[0.0, 0, 4, -40], [0, 4, 0, -48], [6, 0, 0, -20], [0, 0, 0, 1]])
"""Transverse slices, the lowest first, 6 mm apart; pixels of 4 mm."""
PASL_2D = 'tSequenceFileName = ""%SiemensSeq%\\ep2d_pasl""\nalTI[0] = 700000\nalTI[2] = 1800000\nsAsl.ulMode = 4'
PASL_3D = 'tSequenceFileName = ""%SiemensSeq%\\tgse_pasl""\nalTI[0] = 700000\nalTI[2] = 1990000\nsAsl.ulMode = 4'
PCASL_2D = (
    'tSequenceFileName = ""%CustomerSeq%\\ep2d_pcasl_ve11c""\nsWipMemBlock.adFree[1] = 90.0\n'
    "sWipMemBlock.adFree[2] = 1800000.0\nsWipMemBlock.adFree[3] = 82.0\nsWipMemBlock.adFree[4] = 360.0\n"
    "sWipMemBlock.adFree[10] = 6.0\nsWipMemBlock.adFree[11] = 100.0\nsAsl.ulMode = 1"
)


def head(value: float = M0) -> np.ndarray:
    """A block of the value in air, with a slope so that rounding averages out."""
    array = np.zeros(SHAPE)
    array[:, 4:-4, 4:-4] = value * np.linspace(0.9, 1.1, SHAPE[2] - 8)
    return array


def pulsed(delay_s, bolus_s=0.7):
    """ΔM / M0 of QUIPSS II at the known CBF (Alsop 2015, equation 3, solved for ΔM)."""
    return CBF * 2 * 0.98 * bolus_s * np.exp(-np.asarray(delay_s) / 1.65) / (6000 * 0.9)


def continuous(delay_s, duration_s=1.5088, efficiency=0.85):
    """ΔM / M0 of pseudo-continuous labelling at the known CBF (Alsop 2015, equation 1, solved for ΔM)."""
    bolus_s = 1.65 * (1 - np.exp(-duration_s / 1.65))
    return CBF * 2 * efficiency * bolus_s * np.exp(-np.asarray(delay_s) / 1.65) / (6000 * 0.9)


def pairs(share, repeats=3, level=0.8):
    """Control and label, repeated; `share` of M0 by which they differ, one number or one per slice."""
    label = level * head() - np.reshape(share, (-1, 1, 1)) * head()
    return [level * head(), label] * repeats


def write_volumes(folder: Path, volumes, *, series_uid: str, study_uid: str, change=lambda dataset, n: None) -> None:
    """Write volumes as one series of single-frame images; `change` gets every dataset and the number of its volume."""
    for n, array in enumerate(volumes):

        def mark(dataset, n=n, array=array):
            dataset.SeriesInstanceUID, dataset.AcquisitionNumber = series_uid, n + 1
            dataset.PixelData = np.rint(array[int(dataset.InstanceNumber) - 1]).astype(np.uint16).tobytes()
            dataset.BitsStored, dataset.HighBit = 16, 15
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "ASL", "NONE"]
            dataset.ScanningSequence, dataset.MRAcquisitionType = "EP", "2D"
            dataset.pop("InversionTime", None)
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            change(dataset, n)

        write_series(folder / str(n), array.astype(np.float32), LPS_MM, study_uid=study_uid, change=mark)


def write_mosaics(folder: Path, volumes, *, protocol: str, slice_ms=None, change=lambda dataset, n: None) -> None:
    """Write volumes as Siemens VE mosaics. `protocol`: the lines of the private protocol; slice times in ms."""
    folder.mkdir(parents=True, exist_ok=True)
    series_uid = generate_uid()
    slices, rows, columns = SHAPE
    side = int(np.ceil(np.sqrt(slices)))
    for n, array in enumerate(volumes):
        mosaic = np.zeros((side * rows, side * columns), np.uint16)
        for k, one in enumerate(array):
            r, c = divmod(k, side)
            mosaic[r * rows : (r + 1) * rows, c * columns : (c + 1) * columns] = np.rint(one)
        dataset = _first_image(folder, series_uid)
        corner = LPS_MM[:3, 3] - LPS_MM[:3, 2] * columns * (side - 1) / 2 - LPS_MM[:3, 1] * rows * (side - 1) / 2
        dataset.ImagePositionPatient = [float(x) for x in corner]
        dataset.Rows, dataset.Columns = mosaic.shape
        dataset.PixelData = mosaic.tobytes()
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "ASL", "NONE", "ND", "MOSAIC"]
        dataset.AcquisitionNumber = dataset.InstanceNumber = n + 1
        dataset.AcquisitionTime = dataset.ContentTime = f"12{n // 60:02d}{n % 60:02d}.000000"
        _add_private(dataset, slices, protocol, slice_ms or [0.0] * slices)
        change(dataset, n)
        dataset.save_as(folder / f"{n:04d}.dcm", enforce_file_format=True)


def _first_image(folder: Path, series_uid: str) -> Dataset:
    made = []
    write_series(folder / "x", np.ones(SHAPE, np.float32), LPS_MM, change=made.append)
    for path in (folder / "x").iterdir():
        path.unlink()
    (folder / "x").rmdir()
    dataset = made[0]
    for name in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "RescaleType"):
        dataset.pop(name, None)
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series_uid, "1.2.5"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Manufacturer, dataset.SoftwareVersions = "SIEMENS", "syngo MR E11"
    dataset.ScanningSequence, dataset.MRAcquisitionType = "EP", "2D"
    dataset.SliceThickness, dataset.SpacingBetweenSlices = 5, 6
    dataset.RepetitionTime, dataset.EchoTime, dataset.FlipAngle = 4000, 14, 90
    dataset.pop("InversionTime", None)
    return dataset


def _add_private(dataset: Dataset, slices: int, protocol: str, slice_ms) -> None:
    """Add what dcm2niix reads of a mosaic (the format is described in nibabel's documents: Siemens CSA headers)."""
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", slices)
    block.add_new(0x29, "FD", list(slice_ms))
    image = {
        "NumberOfImagesInMosaic": ("US", [f"{slices}"]),
        "SliceNormalVector": ("FD", ["0.0", "0.0", "1.0"]),
        "MosaicRefAcqTimes": ("FD", [f"{ms:.4f}" for ms in slice_ms]),
        "ProtocolSliceNumber": ("IS", ["0"]),
    }
    text = f"### ASCCONV BEGIN ###\n{protocol}\n### ASCCONV END ###"
    siemens = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    siemens.add_new(0x10, "OB", csa(image))
    siemens.add_new(0x20, "OB", csa({"MrPhoenixProtocol": ("UN", [text])}))


def only_series(folder: Path):
    """The one series of a folder."""
    (series,) = read_study([folder]).series
    return series
