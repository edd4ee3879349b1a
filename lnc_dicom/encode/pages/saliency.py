"""Saliency of the predictions over the T1 → an RGB Secondary Capture."""

from __future__ import annotations

from highdicom.sc import SCImage

from lnc_dicom.encode.pages.saliency_page import draw_saliency_page
from lnc_dicom.encode.pages.secondary_capture import CaptureSeries, secondary_capture
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.report import BANNER, Report

SERIES_NUMBER = 9004


def saliency_overlay(report: Report, provenance: Provenance) -> list[SCImage]:
    """Encode the saliency page; an empty list if there is no saliency."""
    if report.biomarker is None or not report.biomarker.saliency:
        return []
    derivation = f"Grad-CAM of the predictions over {report.sources[0].Modality} images. {BANNER}"
    title = report.biomarker.titled("saliency of predictions (RESEARCH)")
    series = CaptureSeries("saliency", SERIES_NUMBER, title, derivation)
    picture = draw_saliency_page(report, report.biomarker, provenance.now)
    return [secondary_capture(report, provenance, picture, series)]
