"""What the biomarker model predicts → the last table of the summary page. Every line says that it is a prediction."""

from __future__ import annotations

from PIL import ImageDraw, ImageFont

from lnc_dicom.anatomy import Side
from lnc_dicom.predictions import Biomarker, Predicted
from lnc_dicom.types import Report

_WHITE, _GREY, _AMBER = (255, 255, 255), (160, 160, 160), (230, 180, 60)
_STEP = 22
_COLUMNS = (26, 235, 340, 455, 570)
"""Left edge of the names, right edges of FA left and right, CBF left and right."""


def draw_predictions(draw: ImageDraw.ImageDraw, report: Report, x: int, y: int) -> int:
    """Draw what was predicted under (x, y); nothing where there is no model. Returns where it ends."""
    found = report.biomarker
    if found is None:
        return y
    meaning = " (demonstration model)" if found.demonstration else ""
    meaning += "" if found.familiar else ": unlike what the model knows"
    draw.text((x, y), f"Predicted from the T1, not measured{meaning}", _WHITE, _font(16))
    heads = ("FA left", "right", "CBF left", "right")
    for edge, text in zip(_COLUMNS[1:], heads, strict=True):
        draw.text((x + edge, y + _STEP), text, _GREY, _font(14), anchor="ra")
    y += 2 * _STEP
    for name in dict.fromkeys(r.structure.name for r in found.regions):
        draw.text((x + _COLUMNS[0], y), name, _WHITE, _font(15))
        for edge, text in zip(_COLUMNS[1:], _row(found, name), strict=True):
            draw.text((x + edge, y), text, _GREY, _font(15), anchor="ra")
        y += _STEP
    for line in _lines(report, found):
        draw.text((x + _COLUMNS[0], y), line, _AMBER if found.demonstration else _WHITE, _font(15))
        y += _STEP
    return y + 8


def _row(found: Biomarker, name: str) -> tuple[str, str, str, str]:
    """FA of both sides, then CBF of both sides; "-" where nothing was predicted."""
    by_side = {r.structure.side: r for r in found.regions if r.structure.name == name}
    fa = [f"{by_side[s].fa.value:.2f}" if s in by_side else "-" for s in Side]
    cbf = [f"{by_side[s].cbf.value:.0f}" if s in by_side else "-" for s in Side]
    return fa[0], fa[1], cbf[0], cbf[1]


def _lines(report: Report, found: Biomarker) -> list[str]:
    """Stems of both hemispheres, and the disease categories where they may be shown."""
    stems = [f"{r.side.value} {_interval(r.expected)}" for r in found.roots]
    lines = [f"LSA stems, expected (90 % interval): {'; '.join(stems)}"] if stems else []
    if report.shows_disease:
        lines += [f"{name}: {100 * p:.0f} %" for name, p in found.disease.items()]
    return lines


def _interval(predicted: Predicted) -> str:
    return f"{predicted.value:.1f} ({predicted.low:.1f} to {predicted.high:.1f})"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
