"""Series that are headers only: what selection looks at, without a file."""

from pathlib import Path

from pydicom import Dataset
from pydicom.uid import MRImageStorage

from lnc_dicom.types import Instance, Series

MPRAGE = {
    "SOPClassUID": MRImageStorage,
    "Modality": "MR",
    "ImageType": ["ORIGINAL", "PRIMARY", "M"],
    "SeriesDescription": "T1_mprage",
    "SequenceName": "*tfl3d1",
    "ScanningSequence": ["GR", "IR"],
    "SequenceVariant": ["SP", "MP"],
    "MRAcquisitionType": "3D",
    "RepetitionTime": 2300,
    "EchoTime": 2.98,
    "InversionTime": 900,
    "FlipAngle": 9,
}


def series_of(uid="1.2", places=96, step_mm=2.0, pixel_mm=1.0, size=256, **values):
    """A transverse T1 MPRAGE of a head with other values of attributes; None removes one."""
    return Series(uid, tuple(_instance(f"{uid}.{i}", i * step_mm, pixel_mm, size, values) for i in range(places)))


def _instance(uid, z_mm, pixel_mm, size, values):
    header = Dataset()
    header.SOPInstanceUID = uid
    header.ImagePositionPatient, header.ImageOrientationPatient = [0, 0, z_mm], [1, 0, 0, 0, 1, 0]
    header.PixelSpacing, header.Rows, header.Columns = [pixel_mm, pixel_mm], size, size
    for name, value in (MPRAGE | values).items():
        if value is not None:
            setattr(header, name, value)
    return Instance(Path(uid), header)
