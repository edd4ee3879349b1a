"""Predictions of the biomarker model → the table of the page of predictions."""

from __future__ import annotations

from PIL import ImageDraw

from lnc_dicom.anatomy import Side
from lnc_dicom.encode.number_text import predicted_text
from lnc_dicom.encode.pages.canvas import AMBER, GREY, WHITE, font
from lnc_dicom.predictions import BiomarkerResult
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.report import DEMONSTRATION

_STEP = 31
_COLUMNS = (26, 390, 590, 790, 990)
"""Left edge of the names, right edges of FA left and right, CBF left and right."""


def draw_predictions(draw: ImageDraw.ImageDraw, found: BiomarkerResult, x: int, y: int) -> int:
    """Draw what was predicted below (x, y). Returns the y where the table ends."""
    draw.text((x, y), f"Predicted from the {found.basis}, not measured, with 90 % intervals", WHITE, font(20))
    made = f"{found.model.name} {found.model.version}"
    draw.text((x, y + 28), f"{made}: {DEMONSTRATION}" if found.demonstration else made, AMBER, font(16))
    y += 56
    if not found.familiar:
        draw.text((x, y), "Unreliable: this head is unlike those that the model was trained on", AMBER, font(16))
        y += 28
    heads = tuple(f"predicted {name}" for name in ("FA left", "FA right", "CBF left", "CBF right"))
    for edge, text in zip(_COLUMNS[1:], heads, strict=True):
        draw.text((x + edge, y), text, WHITE, font(17), anchor="ra")
    draw.text((x + _COLUMNS[0], y), f"CBF in {QUANTITIES[Quantity.CBF].unit_text}", GREY, font())
    y += _STEP
    for name in dict.fromkeys(r.structure.name for r in found.regions):
        draw.text((x + _COLUMNS[0], y), name, WHITE, font(18))
        for edge, text in zip(_COLUMNS[1:], _row(found, name), strict=True):
            draw.text((x + edge, y), text, GREY, font(18), anchor="ra")
        y += _STEP
    for line in _lines(found):
        draw.text((x + _COLUMNS[0], y), line, AMBER if found.demonstration else WHITE, font(18))
        y += _STEP
    return y + 8


def _row(found: BiomarkerResult, name: str) -> tuple[str, str, str, str]:
    """Give FA left and right, then CBF left and right; "-" where nothing was predicted."""
    by_side = {r.structure.side: r for r in found.regions if r.structure.name == name}
    fa_digits, cbf_digits = QUANTITIES[Quantity.FA].digits, QUANTITIES[Quantity.CBF].digits
    fa = [predicted_text(by_side[s].fa, fa_digits) if s in by_side else "-" for s in Side]
    cbf = [predicted_text(by_side[s].cbf, cbf_digits) if s in by_side else "-" for s in Side]
    return fa[0], fa[1], cbf[0], cbf[1]


def _lines(found: BiomarkerResult) -> list[str]:
    """Give the stems of both hemispheres, and the disease categories where they may be shown."""
    lines = [f"LSA stems, {r.side.value}, predicted: {predicted_text(r.expected, 1)}" for r in found.stems]
    lines += [f"{name}, predicted probability: {100 * p:.0f} %" for name, p in found.disease.items()]
    return lines
