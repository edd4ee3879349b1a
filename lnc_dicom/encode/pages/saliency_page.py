"""Saliency → a page with the saliency over the T1: a row per target, slices through the nuclei."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lnc_dicom.encode.pages.canvas import AMBER, GREY, SIZE, TOP, WHITE, RgbImage, font, new_page
from lnc_dicom.encode.pages.slices import Slice, cut_out, cutter, is_outline
from lnc_dicom.encode.pages.summary_page import caption
from lnc_dicom.predictions import BiomarkerResult, Target
from lnc_dicom.report import DEMONSTRATION, Report

_SLICES = (Slice("axial", -4.0), Slice("axial", 4.0), Slice("axial", 12.0), Slice("coronal", 0.0))
_LARGEST_TILE = SIZE // len(_SLICES)
_FOOT = 112
"""Pixels below the tiles: scale and explanation."""
_FAINTEST = 0.2
"""Weaker values, as a share of the largest value, are not coloured."""
_STRENGTH = 0.6
_COLOURS = np.array([(66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)], float)
"""From `_FAINTEST` to 1, dark to bright, readable without colour vision."""
_TITLES = {
    Target.FA: "predicted FA",
    Target.CBF: "predicted CBF",
    Target.STEMS: "predicted LSA stems",
    Target.DISEASE: "likeliest category",
}


def draw_saliency_page(report: Report, biomarker: BiomarkerResult, now: datetime) -> RgbImage:
    """Draw the page, uint8 (1024, 1024, 3): the saliency of every target over the T1 in grey."""
    page, draw = new_page(biomarker.titled("what the predictions rest on (saliency)"), biomarker.model, now)
    rows = len(biomarker.saliency)
    tile = min(_LARGEST_TILE, (SIZE - TOP - _FOOT) // max(rows, 1))
    cut = cutter(report, tile)
    grey = [cut.grey(one) for one in _SLICES]
    labels = cut_out(report.labels, cut.box)
    lines = [is_outline(cut.labels(labels, one)) for one in _SLICES]
    for row, (target, volume) in enumerate(biomarker.saliency.items()):
        part = cut_out(volume, cut.box)
        y = TOP + row * tile
        for column, one in enumerate(_SLICES):
            picture = _overlay(grey[column], cut.values(part, one), lines[column])
            x = column * tile
            page.paste(Image.fromarray(picture), (x, y))
            caption(draw, one, x, y, tile)
        draw.text((6, y + 4), _TITLES[target], WHITE, font(18), stroke_width=2, stroke_fill=(0, 0, 0))
    _foot(draw, biomarker, TOP + rows * tile + 8)
    return np.asarray(page)


def heat(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the colour of saliency, (..., 3), 0 to 255, for values from `_FAINTEST` to 1."""
    anchors = np.linspace(_FAINTEST, 1, len(_COLOURS))
    return np.stack([np.interp(values, anchors, _COLOURS[:, channel]) for channel in range(3)], axis=-1)


def _overlay(
    grey: npt.NDArray[np.float64], saliency: npt.NDArray[np.float64], outline: npt.NDArray[np.bool_]
) -> RgbImage:
    """Blend the T1, the colours of the saliency and the outlines of the structures, thin and pale."""
    strength = np.where(saliency >= _FAINTEST, _STRENGTH, 0.0)[..., None]
    picture = 255 * grey[..., None] * (1 - strength) + heat(saliency) * strength
    return np.asarray(np.where(outline[..., None], 0.5 * picture + 0.5 * 230, picture), np.uint8)


def _foot(draw: ImageDraw.ImageDraw, biomarker: BiomarkerResult, y: int) -> None:
    """Draw the scale, and what the colours mean and do not mean."""
    for i in range(200):
        colour = heat(np.array(_FAINTEST + (1 - _FAINTEST) * i / 199))
        draw.line((12 + i, y, 12 + i, y + 14), fill=tuple(int(c) for c in colour))
    scale = f"{100 * _FAINTEST:.0f} to 100 % of the largest value in the row; pale lines: structures"
    draw.text((220, y - 2), scale, GREY, font())
    lines = [
        "Grad-CAM at the second stage of the network, resolution about 6 mm: where in the T1 the number comes from.",
        "It shows neither disease nor vessels, and does not tell whether the number is right.",
    ]
    for row, line in enumerate(lines):
        draw.text((12, y + 22 + 19 * row), line, GREY, font())
    if biomarker.demonstration:
        draw.text((12, y + 62), DEMONSTRATION, AMBER, font(16))
