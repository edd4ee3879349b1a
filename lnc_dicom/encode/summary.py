"""The summary page → RGB Secondary Capture (PS3.3 A.8.1): every PACS since the 1990s can show it."""

from __future__ import annotations

from highdicom.sc import SCImage

from lnc_dicom.encode.origin import Origin
from lnc_dicom.encode.page import draw_page
from lnc_dicom.report import BANNER
from lnc_dicom.types import Report

SERIES_NUMBER = 9000


def summary(report: Report, origin: Origin) -> SCImage:
    """Encode the page. It holds no patient data, so Burned In Annotation is NO (PS3.3 C.7.6.1.1.3)."""
    source = report.sources[0]
    image = SCImage.from_ref_dataset(
        ref_dataset=source,
        pixel_array=draw_page(report, origin.now),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **origin.common("summary", SERIES_NUMBER, "AI summary (RESEARCH)"),
    )
    image.copy_patient_and_study_information(source)  # as in SEG and SR: one study has one description
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.BodyPartExamined = "BRAIN"  # not a paired structure, so no Laterality is owed (PS3.3 C.7.3.1)
    image.BurnedInAnnotation = "NO"
    image.DerivationDescription = f"Automatic segmentation of {source.Modality} images. {BANNER}"
    image.ConversionType = "WSD"
    origin.finish(image)
    return image
