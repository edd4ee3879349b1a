"""The summary pages → RGB Secondary Captures of one series."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sc import SCImage

from lnc_dicom.encode.pages.secondary_capture import Series, secondary_capture
from lnc_dicom.encode.pages.summary_page import Picture
from lnc_dicom.encode.provenance import Origin
from lnc_dicom.report import BANNER, Report

SERIES_NUMBER = 9000


def summary(report: Report, origin: Origin, pages: Sequence[Picture]) -> list[SCImage]:
    """Encode the pages, each as an instance of its own."""
    derivation = f"Automatic segmentation of {report.sources[0].Modality} images. {BANNER}"
    series = Series("summary", SERIES_NUMBER, "AI summary (RESEARCH)", derivation)
    return [secondary_capture(report, origin, page, series, number) for number, page in enumerate(pages, start=1)]
