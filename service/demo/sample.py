"""A volume → a DICOM MR series, as a scanner would write it. For the demonstration and for tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from lnc_dicom.errors import UnusableInput

_TEMPLATE = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def icbm152() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Read the ICBM152 T1 template that ships inside the nilearn wheel (average of 152 adult heads).

    Returns float32, axes (L, P, S), and the affine from its index to LPS millimetres. Raises UnusableInput without
    nilearn.
    """
    package = importlib.util.find_spec("nilearn")
    if package is None or package.origin is None:
        raise UnusableInput("the sample head needs nilearn: pip install 'lnc-dicom[demo]'")
    image = sitk.DICOMOrient(sitk.ReadImage(str(Path(package.origin).parent / _TEMPLATE)), "LPS")
    array = sitk.GetArrayFromImage(image).transpose().astype(np.float32)
    lps_mm = np.diag([*image.GetSpacing(), 1.0])
    lps_mm[:3, 3] = image.GetOrigin()
    return array, lps_mm


def mr_series(
    array: npt.NDArray[np.float32],
    lps_mm: npt.NDArray[np.float64],
    made: datetime,
    *,
    patient: str = "DEMO^SAMPLE HEAD",
    study_uid: str | None = None,
) -> Iterator[Dataset]:
    """Write a volume as single-frame MR images, one per index of the first axis; rows are the second axis.

    array
        Any non-negative intensities, axes (slice, row, column).
    lps_mm
        (4, 4), index of a voxel centre to LPS millimetres; axes may point anywhere, in either handedness.
    """
    study, series, frame = UID(study_uid or generate_uid()), generate_uid(), generate_uid()
    stored = np.round(array * (4000.0 / max(float(array.max()), 1e-6))).astype(np.uint16)
    spacing = np.linalg.norm(lps_mm[:3, :3], axis=0)
    along_column = lps_mm[:3, 1] / spacing[1]
    along_row = lps_mm[:3, 2] / spacing[2]
    for i, pixels in enumerate(stored):
        dataset = _t1_header(patient, made)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.InstanceNumber = i + 1
        dataset.ImagePositionPatient = [f"{x:.8g}" for x in lps_mm[:3, :3] @ [i, 0, 0] + lps_mm[:3, 3]]
        dataset.ImageOrientationPatient = [f"{x:.10g}" for x in (*along_row, *along_column)]
        dataset.PixelSpacing = [f"{spacing[1]:.8g}", f"{spacing[2]:.8g}"]
        dataset.SliceThickness = f"{spacing[0]:.8g}"
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.PixelData = pixels.tobytes()
        yield dataset


def _t1_header(patient: str, made: datetime) -> Dataset:
    """Everything of an MPRAGE that does not depend on the slice."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    for name in ("Study", "Series", "Content"):
        setattr(dataset, f"{name}Date", made.strftime("%Y%m%d"))
        setattr(dataset, f"{name}Time", made.strftime("%H%M%S"))
    dataset.AccessionNumber = dataset.ReferringPhysicianName = dataset.StudyID = ""
    dataset.Modality, dataset.Manufacturer, dataset.BodyPartExamined = "MR", "lnc-dicom sample", "BRAIN"
    dataset.SeriesDescription, dataset.SeriesNumber, dataset.PatientPosition = "T1 MPRAGE sample", 2, "HFS"
    dataset.PatientName, dataset.PatientID = patient, patient.split("^", maxsplit=1)[0]
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = ["GR", "IR"], ["SP", "MP"], ""
    dataset.MRAcquisitionType, dataset.EchoTrainLength = "3D", 1
    dataset.RepetitionTime, dataset.EchoTime, dataset.InversionTime, dataset.FlipAngle = 2300, 2.98, 900, 9
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PositionReferenceIndicator = ""
    return dataset
