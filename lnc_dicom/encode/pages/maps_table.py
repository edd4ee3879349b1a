"""Means of the measured maps → the first table of the second summary page."""

from __future__ import annotations

from PIL import ImageDraw

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.number_text import mean_text
from lnc_dicom.encode.pages.canvas import GREEN, GREY, WHITE, font
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.report import Report

_STEP = 31
_FIRST, _WIDTH, _SIDE = 400, 260, 120
"""Right edge of the first quantity; distances to the next quantity and between the two sides."""


def measured_quantities(report: Report) -> tuple[Quantity, ...]:
    """Give the quantities that were measured in any structure."""
    return tuple(q for q in Quantity if any(q in m.statistics for m in report.measurements))


def draw_quantities(draw: ImageDraw.ImageDraw, report: Report, x: int, y: int) -> int:
    """Draw the means by structure and side below (x, y), or that there are none. Returns the y where the table ends."""
    quantities = measured_quantities(report)
    if not quantities:
        draw.text(
            (x, y), "Measured: nothing. The study has no diffusion or perfusion that could be used.", GREY, font(18)
        )
        return y + _STEP
    draw.text((x, y), "Measured", WHITE, font(20))
    for i, quantity in enumerate(quantities):
        right = x + _FIRST + i * _WIDTH
        properties = QUANTITIES[quantity]
        title = ", ".join(filter(None, (properties.name, properties.unit_text)))
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
                draw.text((edge, top), mean_text(measurement, quantity), GREEN, font(19), anchor="ra")
    bottom = y + 58 + len(STRUCTURES) // 2 * _STEP
    draw.text((x, bottom), "means over the voxels of each map that lie inside the structure", GREY, font())
    return bottom + 26
