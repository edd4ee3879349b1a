"""The summary pages → RGB Secondary Captures of one series."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sc import SCImage

from lnc_dicom.encode.pages.canvas import RgbImage
from lnc_dicom.encode.pages.secondary_capture import CaptureSeries, secondary_capture
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.report import BANNER, Report

SERIES_NUMBER = 9000


def summary(report: Report, provenance: Provenance, pages: Sequence[RgbImage]) -> list[SCImage]:
    """Encode every page as an instance of one series."""
    derivation = f"Automatic segmentation of {report.sources[0].Modality} images. {BANNER}"
    series = CaptureSeries("summary", SERIES_NUMBER, "AI summary (RESEARCH)", derivation)
    return [secondary_capture(report, provenance, page, series, number) for number, page in enumerate(pages, start=1)]
