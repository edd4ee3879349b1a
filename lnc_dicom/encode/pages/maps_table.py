"""Quantities of the maps → the first table of the second summary page, and how they are written."""

from __future__ import annotations

from PIL import ImageDraw

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.pages.canvas import GREEN, GREY, WHITE, font
from lnc_dicom.maps.regional import NAMES
from lnc_dicom.report import Report
from lnc_dicom.types import Measurement, Quantity

_STEP = 31
_FIRST, _WIDTH, _SIDE = 400, 260, 120
"""Right edge of the first quantity, and how far the next quantity and its other side are."""
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
    """Draw means per structure and side under (x, y); says so where no map was measured. Returns where it ends."""
    quantities = measured_quantities(report)
    if not quantities:
        draw.text(
            (x, y), "Measured: nothing; the study has no diffusion or perfusion that could be used", GREY, font(18)
        )
        return y + _STEP
    draw.text((x, y), "Measured", WHITE, font(20))
    for i, quantity in enumerate(quantities):
        right = x + _FIRST + i * _WIDTH
        title = f"{NAMES[quantity]}, {UNITS[quantity]}" if UNITS[quantity] else NAMES[quantity]
        draw.text((right - _SIDE // 2 - 18, y), title, WHITE, font(18), anchor="ma")
        draw.text((right - _SIDE, y + 26), "left", GREY, font(17), anchor="ra")
        draw.text((right, y + 26), "right", GREY, font(17), anchor="ra")
    for row in range(len(STRUCTURES) // 2):
        sides = report.measurements[2 * row], report.measurements[2 * row + 1]
        top = y + 54 + row * _STEP
        draw.rectangle((x, top + 3, x + 17, top + 20), fill=sides[0].structure.rgb)
        draw.text((x + 26, top), sides[0].structure.name, WHITE, font(18))
        for i, quantity in enumerate(quantities):
            right = x + _FIRST + i * _WIDTH
            for measurement, edge in zip(sides, (right - _SIDE, right), strict=True):
                draw.text((edge, top), written(measurement, quantity), GREEN, font(19), anchor="ra")
    bottom = y + 58 + len(STRUCTURES) // 2 * _STEP
    draw.text((x, bottom), "means of the voxels of each map that lie inside the structure", GREY, font())
    return bottom + 26
