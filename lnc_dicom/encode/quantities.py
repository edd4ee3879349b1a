"""Quantities of the maps → the second table of the summary page, and how they are written."""

from __future__ import annotations

from PIL import ImageDraw, ImageFont

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.maps import NAMES
from lnc_dicom.types import Measurement, Quantity, Report

_WHITE, _GREY, _GREEN = (255, 255, 255), (160, 160, 160), (120, 220, 120)
_STEP = 32
_COLUMN = 74
UNITS = {Quantity.FA: "", Quantity.CBF: "ml/100 g/min", Quantity.RELATIVE_CBF: "no unit"}
_DIGITS = {Quantity.FA: 2, Quantity.CBF: 0, Quantity.RELATIVE_CBF: 0}


def measured_quantities(report: Report) -> tuple[Quantity, ...]:
    """Give the quantities that any structure has."""
    return tuple(q for q in Quantity if any(q in m.statistics for m in report.measurements))


def written(measurement: Measurement, quantity: Quantity) -> str:
    """Write a mean with the digits that it deserves; "-" where it was not measured."""
    statistic = measurement.statistics.get(quantity)
    return "-" if statistic is None else f"{round(statistic.mean, _DIGITS[quantity]) + 0.0:.{_DIGITS[quantity]}f}"


def draw_quantities(draw: ImageDraw.ImageDraw, report: Report, x: int, y: int) -> int:
    """Draw means per structure and side under (x, y); nothing where no map was measured. Returns where it ends."""
    quantities = measured_quantities(report)
    if not quantities:
        return y
    for i, quantity in enumerate(quantities):
        right = _right_edge(x, i)
        draw.text((right, y), NAMES[quantity], _WHITE, _font(18), anchor="ra")
        draw.text((right, y + 21), UNITS[quantity], _GREY, _font(13), anchor="ra")
        draw.text((right - _COLUMN, y + 40), "left", _GREY, _font(16), anchor="ra")
        draw.text((right, y + 40), "right", _GREY, _font(16), anchor="ra")
    for row in range(len(STRUCTURES) // 2):
        sides = report.measurements[2 * row], report.measurements[2 * row + 1]
        top = y + 62 + row * _STEP
        draw.rectangle((x, top + 4, x + 16, top + 20), fill=sides[0].structure.rgb)
        draw.text((x + 26, top), sides[0].structure.name, _WHITE, _font(18))
        for i, quantity in enumerate(quantities):
            for measurement, edge in zip(sides, (_right_edge(x, i) - _COLUMN, _right_edge(x, i)), strict=True):
                draw.text((edge, top), written(measurement, quantity), _GREEN, _font(18), anchor="ra")
    bottom = y + 62 + len(STRUCTURES) // 2 * _STEP + 6
    draw.text((x, bottom), "means of the voxels of each map that lie inside the structure", _GREY, _font(15))
    return bottom + 28


def _right_edge(x: int, column: int) -> int:
    """Where the numbers of the right side end."""
    return x + 316 + column * (2 * _COLUMN - 16)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
