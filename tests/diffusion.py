"""A tensor field of known FA → diffusion-weighted DICOM images, with b-values where each vendor writes them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, generate_uid

from lnc_service.demo.sample import mr_series
from tests.enhanced import macro
from tests.factories import NOW

SHAPE = (6, 36, 32)
"""Slices, rows, columns."""
EIGENVALUES = {"fibres": (1.7e-3, 0.3e-3, 0.3e-3), "nucleus": (0.9e-3, 0.7e-3, 0.7e-3), "fluid": (3e-3, 3e-3, 3e-3)}
"""mm²/s: FA .80, .15 and 0."""


def fa_of(eigenvalues):
    """Basser and Pierpaoli, J Magn Reson B 1996; 111:209."""
    values = np.asarray(eigenvalues)
    return np.sqrt(1.5 * ((values - values.mean()) ** 2).sum() / (values**2).sum())


def directions(count):
    """Unit vectors, evenly over half a sphere (golden spiral)."""
    z = (np.arange(count) + 0.5) / count
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    return np.stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z], axis=1)


@dataclass(frozen=True)
class Scan:
    """What a scanner acquired: signal (volume, slice, row, column), b-values, directions in LPS, its grid."""

    signal: np.ndarray
    b: np.ndarray
    g: np.ndarray
    lps_mm: np.ndarray
    names: np.ndarray
    """The tissue of every voxel; "" outside the head."""

    def part(self, volumes):
        """Keep some of the volumes, in this order."""
        return replace(self, signal=self.signal[volumes], b=self.b[volumes], g=self.g[volumes])


def scan(count=12, b=1000.0, b0=1, tilt_deg=10.0, shape=SHAPE, spacing_mm=(4.0, 2.5, 2.5), seed=0):
    """An ellipsoid of three tissues on a grid that is tilted about two axes, with noise of 0.3 % of b = 0."""
    middle = (np.array(shape) - 1) / 2
    z, y, x = ((np.arange(n) - m) / (0.45 * n) for n, m in zip(shape, middle, strict=True))
    place = np.meshgrid(0.6 * z, y, x, indexing="ij")
    inside = sum(p**2 for p in place) < 1
    names = np.where(place[2] < -0.25, "fibres", np.where(place[2] < 0.35, "nucleus", "fluid"))
    names = np.where(inside, names, "")
    values = np.array([0.0] * b0 + [b] * count)
    vectors = np.vstack([np.zeros((b0, 3)), directions(count)])
    turn, _ = np.linalg.qr(np.array([[2.0, 1, 0], [-1, 2, 1], [1, 0, 3]]))
    signal = np.zeros((len(values), *shape))
    for name, eigenvalues in EIGENVALUES.items():
        tensor = turn @ np.diag(eigenvalues) @ turn.T
        signal[:, names == name] = 1500 * np.exp(-values * np.einsum("ni,ij,nj->n", vectors, tensor, vectors))[:, None]
    signal = np.abs(signal + np.random.default_rng(seed).normal(0, 4.5, signal.shape))
    return Scan(np.rint(signal).astype(np.uint16), values, vectors, _grid(shape, spacing_mm, tilt_deg), names)


def _grid(shape, spacing_mm, tilt_deg):
    """Axial slices from feet to head, rows from front to back, tilted about the left and the posterior axis."""
    angle = np.radians(tilt_deg)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    lps_mm = np.eye(4)
    lps_mm[:3, :3] = turn @ np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]]) @ np.diag(spacing_mm)
    lps_mm[:3, 3] = -lps_mm[:3, :3] @ ((np.array(shape) - 1) / 2)
    return lps_mm


def independent_fa(signal, b, g):
    """Log-linear fit of a tensor by least squares, (volume, ...) → (...)."""
    design = np.column_stack(
        [
            np.ones(len(b)),
            *(
                -b * g[:, i] * g[:, j] * (1 if i == j else 2)
                for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
            ),
        ]
    )
    log = np.log(np.maximum(signal.reshape(len(b), -1), 1))
    _, xx, yy, zz, xy, xz, yz = np.linalg.lstsq(design, log, rcond=None)[0]
    tensor = np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], axis=-1).reshape(-1, 3, 3)
    values = np.linalg.eigvalsh(tensor)
    mean = values.mean(axis=1, keepdims=True)
    fa = np.sqrt(1.5 * ((values - mean) ** 2).sum(axis=1) / np.maximum((values**2).sum(axis=1), 1e-20))
    return fa.reshape(signal.shape[1:])


Change = Callable[[Dataset, float, np.ndarray], None]
"""Writes b-value and direction (LPS) into one image, as a vendor does."""


def images(found: Scan, vendor: Change, **attributes) -> list[Dataset]:
    """One image per slice and volume, all of one series, in the order of acquisition."""
    made = []
    study, series, frame = attributes.pop("StudyInstanceUID", None) or generate_uid(), generate_uid(), generate_uid()
    for v, (b, g) in enumerate(zip(found.b, found.g, strict=True)):
        for s, image in enumerate(mr_series(found.signal[v].astype(np.float32), found.lps_mm, NOW, study_uid=study)):
            image.PixelData = found.signal[v, s].tobytes()
            image.SeriesInstanceUID, image.FrameOfReferenceUID = series, frame
            _epi(image)
            image.InstanceNumber = v * len(found.signal[v]) + s + 1
            image.AcquisitionNumber = v + 1
            image.AcquisitionTime = f"1000{v % 60:02d}.000000"
            vendor(image, float(b), g)
            for name, value in attributes.items():
                setattr(image, name, value)
            made.append(image)
    return made


def _epi(image):
    del image.InversionTime
    image.ScanningSequence, image.SequenceVariant, image.MRAcquisitionType = ["SE", "EP"], "NONE", "2D"
    image.RepetitionTime, image.EchoTime, image.FlipAngle = 8000, 80, 90
    image.SeriesDescription, image.SeriesNumber = "ep2d", 5
    image.InPlanePhaseEncodingDirection = "COL"
    image.MagneticFieldStrength = 3


def write(folder: Path, made: Iterable[Dataset], number=5) -> None:
    """Write images as one series, with UIDs that sort in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = generate_uid()[:48].rstrip(".")
    for i, image in enumerate(made):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{stem}.{100000 + i}"
        image.SeriesNumber = number
        image.save_as(folder / f"{number:03d}_{i:05d}.dcm", enforce_file_format=True)


# --- where each vendor writes b-values and directions ---------------------------------------------------------------


def public(image, b, g):
    """PS3.3 C.8.13.5.9 attributes at the top level, as Philips since R5, Canon, and Siemens XA write them."""
    image.DiffusionBValue = b
    image.DiffusionGradientOrientation = [float(x) for x in g]


def siemens(image, b, g):
    """VB, VD, VE, one image per slice: private group 0019; SequenceName."""
    image.Manufacturer, image.ManufacturerModelName, image.SoftwareVersions = "SIEMENS", "TrioTim", "syngo MR B17"
    image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]
    image.SequenceName = f"*ep_b{b:.0f}#1" if b else "*ep_b0"
    block = image.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", int(b))
    block.add_new(0x0D, "CS", "DIRECTIONAL" if b else "NONE")
    if b:
        block.add_new(0x0E, "FD", [float(x) for x in g])


def philips_before_public(image, b, g):
    """R2.5: private groups 2001 and 2005 only."""
    image.Manufacturer, image.ManufacturerModelName, image.SoftwareVersions = (
        "Philips Medical Systems",
        "Achieva",
        "2.5.3",
    )
    image.ImageType = ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"]
    block = image.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x03, "FL", b)
    block.add_new(0x04, "CS", "O" if b else "I")
    block.add_new(0x18, "SL", SHAPE[0])
    block = image.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    for i, x in enumerate(g):
        block.add_new(0xB0 + i, "FL", float(x))


def philips(image, b, g):
    """Classic images of R5: public attributes beside the private ones."""
    philips_before_public(image, b, g)
    image.SoftwareVersions = "5.7.1"
    public(image, b, g)


def ge(image, b, g):
    """Private groups 0019 and 0043; directions along frequency, phase and slice, not of the patient."""
    image.Manufacturer, image.ManufacturerModelName, image.SoftwareVersions = (
        "GE MEDICAL SYSTEMS",
        "DISCOVERY MR750",
        "27",
    )
    image.ImageType, image.ScanningSequence = ["ORIGINAL", "PRIMARY", "OTHER"], ["EP", "SE"]
    rows, columns = (
        np.array(image.ImageOrientationPatient[:3], float),
        np.array(image.ImageOrientationPatient[3:], float),
    )
    along = np.array([g @ rows, g @ columns, g @ np.cross(rows, columns)])
    block = image.private_block(0x0019, "GEMS_ACQU_01", create=True)
    block.add_new(0x9C, "LO", "epi2")
    for i, x in enumerate((along[0], along[1], -along[2]) if b else (0.0, 0.0, 0.0)):
        block.add_new(0xBB + i, "DS", f"{x:.6f}")
    block.add_new(0xE0, "DS", "12")
    image.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", [int(b), 8, 0, 0])


def uih(image, b, g):
    """United Imaging, one image per slice: private group 0065."""
    image.Manufacturer, image.ManufacturerModelName, image.SoftwareVersions = "UIH", "uMR 790", "uMR V10"
    image.ImageType, image.SequenceName = ["ORIGINAL", "PRIMARY", "M", "NONE"], "epi_dwi"
    block = image.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x09, "FD", b)
    if b:
        rows, columns = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        block.add_new(0x37, "FD", [float(g @ axis) for axis in (rows, columns, np.cross(rows, columns))])


def canon(image, b, g):
    """Canon and later Toshiba: public attributes."""
    image.Manufacturer, image.ManufacturerModelName, image.SoftwareVersions = "CANON_MEC", "Galan 3T", "V6.0"
    image.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    public(image, b, g)


def toshiba(image, b, g):
    """Early Toshiba: a public b-value, directions in a comment along columns, rows and slices."""
    image.Manufacturer, image.ManufacturerModelName, image.SoftwareVersions = "TOSHIBA_MEC", "Titan3T", "V2.30"
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    image.DiffusionBValue = b
    rows, columns = (
        np.array(image.ImageOrientationPatient[:3], float),
        np.array(image.ImageOrientationPatient[3:], float),
    )
    along = (g @ rows, g @ columns, g @ np.cross(rows, columns))
    if b:
        image.ImageComments = f"b={b:.0f}({along[1]:.3f},{along[0]:.3f},{-along[2]:.3f})"


def siemens_mosaic(found: Scan, *, forward: bool = True, **attributes) -> list[Dataset]:
    """VB: one image per volume, its slices side by side; b-value and direction in group 0019 and the CSA header."""
    side = _side(found)
    normal = found.lps_mm[:3, 0] / np.linalg.norm(found.lps_mm[:3, 0])
    rows, columns = found.signal.shape[2:]
    shift = (found.lps_mm[:3, 1] * rows + found.lps_mm[:3, 2] * columns) * (side - 1) / 2
    made = images(found, siemens, **attributes)[:: len(found.signal[0])]
    for v, image in enumerate(made):
        _tile(image, found.signal[v], side, side)
        image.ImagePositionPatient = [f"{x:.8g}" for x in found.lps_mm[:3, 3] - shift]
        image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
        image.InstanceNumber = v + 1
        b, g = float(found.b[v]), found.g[v]
        fields = {
            "NumberOfImagesInMosaic": ("US", [str(len(found.signal[v]))]),
            "SliceNormalVector": ("FD", [f"{x:.8f}" for x in normal]),
            "PhaseEncodingDirectionPositive": ("IS", [str(int(forward))]),
            "B_value": ("IS", [str(int(b))]),
            "DiffusionDirectionality": ("CS", ["DIRECTIONAL" if b else "NONE"]),
            "DiffusionGradientDirection": ("FD", [f"{x:.8f}" for x in g] if b else []),
        }
        image.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa(fields))
    return made


def uih_grid(found: Scan, **attributes) -> list[Dataset]:
    """VFRAME: one image per volume, its slices side by side, their positions in a private sequence."""
    slices, side = len(found.signal[0]), _side(found)
    single = images(found, uih, **attributes)
    made = single[::slices]
    for v, image in enumerate(made):
        places = [macro(ImagePositionPatient=i.ImagePositionPatient)[0] for i in single[v * slices : (v + 1) * slices]]
        _tile(image, found.signal[v], side, -(-slices // side))
        image.ImageType, image.InstanceNumber = ["ORIGINAL", "PRIMARY", "M", "VFRAME"], v + 1
        block = image.private_block(0x0065, "Image Private Header", create=True)
        block.add_new(0x50, "DS", str(slices))
        block.add_new(0x51, "SQ", Sequence(places))
    return made


def _side(found):
    return int(np.ceil(np.sqrt(len(found.signal[0]))))


def _tile(image, slices, across, down):
    rows, columns = slices.shape[1:]
    whole = np.zeros((down * rows, across * columns), np.uint16)
    for s, pixels in enumerate(slices):
        row, column = divmod(s, across)
        whole[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns] = pixels
    image.Rows, image.Columns, image.PixelData = *whole.shape, whole.tobytes()


def csa(fields):
    """Siemens' CSA header, version SV10: name, value multiplicity, VR and texts of every field."""
    parts = [b"SV10\4\3\2\1", struct.pack("<II", len(fields), 77)]
    for name, (vr, values) in fields.items():
        items = max(6, len(values))
        parts.append(struct.pack("<64si4siii", name.encode(), len(values), vr.encode(), 0, items, 77))
        for i in range(items):
            text = values[i].encode() + b"\0" if i < len(values) else b""
            parts.append(struct.pack("<4i", len(text), len(text), 77, len(text)) + text + b"\0" * (-len(text) % 4))
    whole = b"".join(parts)
    return whole + b"\0" * (len(whole) % 2)


def enhanced(found: Scan, **attributes) -> list[Dataset]:
    """Enhanced MR of Philips: all volumes in one object."""
    single = images(found, lambda *_: None, **attributes)
    slices = len(found.signal[0])
    return [_enhanced(single, [_frame(image, i, slices, found) for i, image in enumerate(single)])]


def _enhanced(single, frames):
    whole = single[0]
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    whole.NumberOfFrames = len(frames)
    whole.PixelData = b"".join(image.PixelData for image in single)
    whole.AcquisitionContrast, whole.EchoPulseSequence, whole.PulseSequenceName = "DIFFUSION", "SPIN", "DwiSE"
    whole.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    whole.Manufacturer, whole.ManufacturerModelName, whole.SoftwareVersions = "Philips", "Ingenia", "5.6.1"
    shared = Dataset()
    shared.PixelMeasuresSequence = macro(PixelSpacing=whole.PixelSpacing, SliceThickness=whole.SliceThickness)
    shared.PlaneOrientationSequence = macro(ImageOrientationPatient=whole.ImageOrientationPatient)
    shared.MRTimingAndRelatedParametersSequence = macro(RepetitionTime=8000, FlipAngle=90)
    shared.MREchoSequence = macro(EffectiveEchoTime=80)
    shared.MRFOVGeometrySequence = macro(InPlanePhaseEncodingDirection="COLUMN")
    whole.SharedFunctionalGroupsSequence = [shared]
    whole.PerFrameFunctionalGroupsSequence = frames
    dimensions = [("StackID", 0x00209056), ("InStackPositionNumber", 0x00209057), ("DiffusionBValue", 0x00189087)]
    whole.DimensionIndexSequence = [
        macro(DimensionIndexPointer=tag, DimensionDescriptionLabel=n)[0] for n, tag in dimensions
    ]
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(whole, name)
    return whole


def _frame(image, number, slices, found):
    v, s = divmod(number, slices)
    frame = Dataset()
    frame.PlanePositionSequence = macro(ImagePositionPatient=image.ImagePositionPatient)
    frame.FrameContentSequence = macro(
        StackID="1", InStackPositionNumber=s + 1, DimensionIndexValues=[1, s + 1, v + 1], TemporalPositionIndex=v + 1
    )
    frame.PixelValueTransformationSequence = macro(RescaleSlope=1, RescaleIntercept=0, RescaleType="US")
    b, g = float(found.b[v]), found.g[v]
    named = "DIRECTIONAL" if g.any() else ("ISOTROPIC" if b else "NONE")
    diffusion = macro(DiffusionBValue=b, DiffusionDirectionality=named)
    if g.any():
        diffusion[0].DiffusionGradientDirectionSequence = macro(DiffusionGradientOrientation=[float(x) for x in g])
    frame.MRDiffusionSequence = diffusion
    frame.MRImageFrameTypeSequence = macro(
        FrameType=["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"], AcquisitionContrast="DIFFUSION"
    )
    return frame
