"""Predictions of the biomarker model → a page of its own, an RGB Secondary Capture. Nothing on it was measured."""

from __future__ import annotations

import textwrap
from datetime import datetime

import numpy as np
from highdicom.sc import SCImage

from lnc_dicom.encode.pages.canvas import AMBER, GREY, TOP, WHITE, RgbImage, font, new_page
from lnc_dicom.encode.pages.predictions_table import draw_predictions
from lnc_dicom.encode.pages.secondary_capture import CaptureSeries, secondary_capture
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.predictions import BiomarkerResult
from lnc_dicom.report import BANNER, Report
from lnc_dicom.types import Caveat

SERIES_NUMBER = 9012
_LINE = 21
_LETTERS = 112
_HOW_TO_READ = (
    "Nothing on this page was measured. FA and CBF are what patients with such T1-weighted images had on average; "
    "what was measured in this patient stands in the report of measurements and on its pages. "
    "Stems of the lenticulostriate arteries are a prediction from the T1, no count on an angiogram."
)


def predictions_page(report: Report, provenance: Provenance) -> list[SCImage]:
    """Encode the page; an empty list where nothing was predicted."""
    found = report.biomarker
    if found is None or not (found.regions or found.stems or found.disease):
        return []
    derivation = f"Predicted from {report.sources[0].Modality} images by a neural network, not measured. {BANNER}"
    title = found.titled("predicted values, page (RESEARCH)")
    series = CaptureSeries("predictions-page", SERIES_NUMBER, title, found.titled(derivation))
    page = draw_predictions_page(found, report.prediction_caveats, provenance.now)
    return [secondary_capture(report, provenance, page, series)]


def draw_predictions_page(found: BiomarkerResult, caveats: tuple[Caveat, ...], now: datetime) -> RgbImage:
    """Draw the page, uint8 (1024, 1024, 3): the table, how to read it, and the caveats of the predictions."""
    page, draw = new_page(found.titled("predicted values"), found.model, now)
    y = draw_predictions(draw, found, 12, TOP + 12) + 12
    notes = (_HOW_TO_READ, *(f"{caveat.code} {caveat.text}" for caveat in caveats if caveat.is_our_text))
    for i, note in enumerate(notes):
        for line in textwrap.wrap(note, _LETTERS, subsequent_indent="    " if i else ""):
            draw.text((12, y), line, AMBER if i else GREY, font(16))
            y += _LINE
    if found.disease_withheld:
        draw.text((12, y), "Probabilities of disease are not shown: the model is a demonstration.", WHITE, font(16))
    return np.asarray(page)
