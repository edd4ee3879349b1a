"""Report → its DICOM objects, in the order in which they are sent."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime

from pydicom import Dataset

from lnc_dicom.encode.origin import origin_of
from lnc_dicom.encode.seg import segmentation
from lnc_dicom.encode.sr import measurement_report
from lnc_dicom.encode.summary import summary
from lnc_dicom.types import Report

FILES = ("segmentation.dcm", "measurements.dcm", "summary.dcm")
"""Names of the files of a result, in the order in which they are sent."""


@dataclass(frozen=True, slots=True)
class EncodedObject:
    """One DICOM object ready to be written: `name` is a file name, `data` a whole Part 10 file."""

    name: str
    sop_class: str
    sop_instance_uid: str
    series_instance_uid: str
    data: bytes = field(repr=False)


def encode(report: Report, now: datetime) -> tuple[EncodedObject, ...]:
    """Encode a report as SEG, SR and summary page. The same report and time give the same bytes."""
    origin = origin_of(report, now)
    seg = segmentation(report, origin)
    datasets = (seg, measurement_report(report, origin, seg), summary(report, origin))
    return tuple(_encoded(name, dataset) for name, dataset in zip(FILES, datasets, strict=True))


def _encoded(name: str, dataset: Dataset) -> EncodedObject:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return EncodedObject(
        name,
        dataset.SOPClassUID.name,
        str(dataset.SOPInstanceUID),
        str(dataset.SeriesInstanceUID),
        buffer.getvalue(),
    )
