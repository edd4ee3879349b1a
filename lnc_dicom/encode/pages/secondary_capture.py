"""A page → RGB Secondary Capture (PS3.3 A.8.1), which every PACS can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage

from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.report import Report


@dataclass(frozen=True, slots=True)
class CaptureSeries:
    """A series of pages: `role` is the name that its UIDs derive from, `derivation` says what the pages show."""

    role: str
    number: int
    description: str
    derivation: str


def secondary_capture(
    report: Report, provenance: Provenance, page: npt.NDArray[np.uint8], series: CaptureSeries, instance: int = 1
) -> SCImage:
    """Encode a page, uint8 (rows, columns, 3). No patient data is burned in: Burned In Annotation NO (C.7.6.1.1.3)."""
    common = provenance.common(series.role, series.number, series.description)
    if instance > 1:
        common |= {"sop_instance_uid": provenance.uid(f"{series.role}/{instance}"), "instance_number": instance}
    image = SCImage.from_ref_dataset(
        ref_dataset=report.sources[0],
        pixel_array=page,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **common,
    )
    image.copy_patient_and_study_information(report.sources[0])  # as in SEG and SR: one study has one description
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.BodyPartExamined = "BRAIN"  # not a paired structure, so no Laterality is owed (PS3.3 C.7.3.1)
    image.BurnedInAnnotation = "NO"
    image.DerivationDescription = series.derivation
    image.ConversionType = "WSD"
    provenance.finish(image)
    return image
