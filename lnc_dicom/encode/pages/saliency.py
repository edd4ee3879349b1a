"""What the predictions rest on → an RGB Secondary Capture with the saliency over the T1."""

from __future__ import annotations

from highdicom.sc import SCImage

from lnc_dicom.encode.pages.saliency_page import draw_saliency_page
from lnc_dicom.encode.pages.secondary_capture import Series, secondary_capture
from lnc_dicom.encode.provenance import Origin
from lnc_dicom.report import BANNER, Report

SERIES_NUMBER = 9004


def saliency_overlay(report: Report, origin: Origin) -> list[SCImage]:
    """Encode the page of saliency; nothing where the model predicted nothing or was not explained."""
    if report.biomarker is None or not report.biomarker.saliency:
        return []
    derivation = f"Grad-CAM of the predictions over {report.sources[0].Modality} images. {BANNER}"
    series = Series("saliency", SERIES_NUMBER, "AI saliency of predictions (RESEARCH)", derivation)
    picture = draw_saliency_page(report, report.biomarker, origin.now)
    return [secondary_capture(report, origin, picture, series)]
