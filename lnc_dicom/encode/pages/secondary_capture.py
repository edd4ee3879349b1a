"""A picture → RGB Secondary Capture (PS3.3 A.8.1): every PACS since the 1990s can show it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage

from lnc_dicom.encode.provenance import Origin
from lnc_dicom.report import Report


@dataclass(frozen=True, slots=True)
class Series:
    """Where a picture goes: `role` names its series for the UIDs, `derivation` says what it is."""

    role: str
    number: int
    description: str
    derivation: str


def secondary_capture(
    report: Report, origin: Origin, picture: npt.NDArray[np.uint8], series: Series, instance: int = 1
) -> SCImage:
    """Encode a picture, uint8 (rows, columns, 3). It holds no patient data: Burned In Annotation NO (C.7.6.1.1.3)."""
    common = origin.common(series.role, series.number, series.description)
    if instance > 1:
        common |= {"sop_instance_uid": origin.uid(f"{series.role}/{instance}"), "instance_number": instance}
    image = SCImage.from_ref_dataset(
        ref_dataset=report.sources[0],
        pixel_array=picture,
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
    origin.finish(image)
    return image
