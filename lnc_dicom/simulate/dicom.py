"""Images of a simulated person → a DICOM study: T1, FA map and CBF map as single-frame MR images."""

from __future__ import annotations

import copy
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from highdicom import Volume
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from lnc_dicom.simulate.images import Images

_NAMESPACE = uuid.UUID("5d3f0b0c-2d0a-4f5c-8a55-6f2b3a1c9e70")
_DAY = "20000101"
"""Date of every simulated study."""
_NO_UNIT = Code("1", "UCUM", "no units")
_FLOW_UNIT = Code("ml/[100]g/min", "UCUM", "Milliliter/100 gram/minute")
_FA = Code("110808", "DCM", "Fractional Anisotropy")
_FLOW = Code("126390", "DCM", "Absolute Regional Blood Flow")


@dataclass(frozen=True, slots=True)
class _SeriesType:
    """How a series is written: orientation of the slices, slope from stored to real values, quantity and unit."""

    number: int
    description: str
    image_type: tuple[str, ...]
    orientation: str
    slope: float
    quantity: Code | None = None
    unit: Code | None = None


_SERIES = {
    "t1": _SeriesType(1, "SIMULATED T1 MPRAGE", ("ORIGINAL", "PRIMARY", "M", "ND"), "LIP", 1.0),
    "fa": _SeriesType(2, "SIMULATED FA", ("DERIVED", "PRIMARY", "DIFFUSION", "FA"), "SPL", 1e-4, _FA, _NO_UNIT),
    "cbf": _SeriesType(3, "SIMULATED CBF", ("DERIVED", "PRIMARY", "ASL", "CBF"), "SPL", 0.01, _FLOW, _FLOW_UNIT),
}
_T1_TIMING = {"RepetitionTime": 2300, "EchoTime": 3, "InversionTime": 900, "FlipAngle": 9}


def write_study(folder: Path, images: Images, seed: int, number: int, age: float, *, male: bool) -> None:
    """Write the three series of one person, each into its own folder.

    UIDs are derived from seed and number; patient ID and name mark the patient as simulated.
    """
    study = _patient(seed, number, age, male=male)
    for name, series_type in _SERIES.items():
        volume: Volume = getattr(images, name)
        series = copy.deepcopy(study)
        series.SeriesInstanceUID = _uid(seed, number, name)
        series.SeriesNumber, series.SeriesDescription = series_type.number, series_type.description
        series.ImageType = list(series_type.image_type)
        _describe(series, series_type)
        (folder / name).mkdir(parents=True, exist_ok=True)
        _write_slices(
            folder / name,
            series,
            volume.to_patient_orientation(series_type.orientation),
            series_type,
            (seed, number, name),
        )


def _uid(*parts: object) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(map(str, parts))).int}"


def _patient(seed: int, number: int, age: float, *, male: bool) -> Dataset:
    d = Dataset()
    d.SpecificCharacterSet = "ISO_IR 100"
    d.SOPClassUID = MRImageStorage
    d.StudyDate = d.SeriesDate = d.ContentDate = d.AcquisitionDate = _DAY
    d.StudyTime = d.SeriesTime = d.ContentTime = d.AcquisitionTime = "120000"
    d.AccessionNumber, d.Modality, d.Manufacturer = "", "MR", "lnc-dicom simulation"
    d.ReferringPhysicianName, d.StudyDescription = "", "SIMULATED PATIENT"
    d.PatientName, d.PatientID = "Simulated^Patient", f"SIM-{seed}-{number:04d}"
    d.PatientBirthDate, d.PatientSex, d.PatientAge = "", "M" if male else "F", f"{round(age):03d}Y"
    d.BodyPartExamined, d.PatientPosition, d.PositionReferenceIndicator = "BRAIN", "HFS", ""
    d.StudyInstanceUID, d.StudyID = _uid(seed, number), "1"
    d.FrameOfReferenceUID = _uid(seed, number, "frame")
    d.MagneticFieldStrength = 3
    return d


def _describe(series: Dataset, series_type: _SeriesType) -> None:
    """Add the attributes that series selection needs, and for maps the real-world values (PS3.3 C.7.6.16.2.11)."""
    series.MRAcquisitionType = "3D"
    series.SequenceVariant, series.ScanOptions, series.EchoTrainLength = "SP", "", 1
    series.ScanningSequence = ["GR", "IR"] if series_type.quantity is None else ["EP"]
    if series_type.quantity is None or series_type.unit is None:
        for name, value in _T1_TIMING.items():
            setattr(series, name, value)
        return
    series.RepetitionTime, series.EchoTime = 5000, 90
    real = Dataset()
    real.RealWorldValueFirstValueMapped, real.RealWorldValueLastValueMapped = 0, 65535
    real.RealWorldValueIntercept, real.RealWorldValueSlope = 0.0, series_type.slope
    real.LUTExplanation, real.LUTLabel = series_type.quantity.meaning, "MAP"
    real.MeasurementUnitsCodeSequence = [_coded(series_type.unit)]
    quantity = Dataset()
    quantity.ValueType = "CODE"
    quantity.ConceptNameCodeSequence = [_coded(Code("246205007", "SCT", "Quantity"))]
    quantity.ConceptCodeSequence = [_coded(series_type.quantity)]
    real.QuantityDefinitionSequence = [quantity]
    series.RealWorldValueMappingSequence = [real]


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def _write_slices(
    folder: Path, series: Dataset, volume: Volume, series_type: _SeriesType, key: tuple[object, ...]
) -> None:
    """Write one file per slice, with unsigned 16-bit stored values."""
    stored = np.clip(np.rint(volume.array / series_type.slope), 0, 65535).astype("<u2")
    across, down = (volume.affine[:3, axis] / volume.spacing[axis] for axis in (2, 1))
    series.Rows, series.Columns = stored.shape[1:]
    series.PixelSpacing = [f"{volume.spacing[1]:g}", f"{volume.spacing[2]:g}"]
    series.SliceThickness = series.SpacingBetweenSlices = f"{volume.spacing[0]:g}"
    series.ImageOrientationPatient = [f"{c:g}" for c in (*across, *down)]
    series.SamplesPerPixel, series.PhotometricInterpretation, series.PixelRepresentation = 1, "MONOCHROME2", 0
    series.BitsAllocated, series.BitsStored, series.HighBit = 16, 16, 15
    series.RescaleIntercept, series.RescaleSlope, series.RescaleType = "0", f"{series_type.slope:g}", "US"
    for k, plane in enumerate(stored):
        image = Dataset(series)
        image.SOPInstanceUID, image.InstanceNumber = _uid(*key, k), k + 1
        image.AcquisitionNumber = 1
        image.ImagePositionPatient = [f"{c:g}" for c in volume.affine[:3, 3] + k * volume.affine[:3, 0]]
        image.PixelData = plane.tobytes()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.save_as(folder / f"{k + 1:04d}.dcm", enforce_file_format=True)
