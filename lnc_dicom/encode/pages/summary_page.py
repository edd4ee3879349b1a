"""Report → the summary pages: first overlays and volumes, then measured maps. Nothing on them is predicted."""

from __future__ import annotations

import textwrap
from datetime import datetime

import numpy as np
from highdicom import Volume
from PIL import Image, ImageDraw

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.pages.canvas import (
    ALARM,
    AMBER,
    BLACK,
    GREEN,
    GREY,
    SIZE,
    TOP,
    WHITE,
    Colour,
    RgbImage,
    font,
    new_page,
)
from lnc_dicom.encode.pages.maps_table import draw_quantities, measured_quantities
from lnc_dicom.encode.pages.slices import Cutter, Slice, colours, cut_out, cutter, is_outline
from lnc_dicom.report import RESEARCH_ONLY, Report
from lnc_dicom.types import Measurement

TILE = 224
"""Side of a slice in pixels."""
_SLICES = (*(Slice("axial", mm) for mm in (-12.0, -6.0, 0.0, 6.0, 12.0, 18.0)),) + (
    *(Slice("coronal", mm) for mm in (-10.0, 0.0, 10.0)),
)
_COLUMNS = 3
_FILL = 0.35
_LINE = 19
_CAVEAT_LETTERS = 118
_BOTTOM = TOP + 3 * TILE + 10


def draw_pages(report: Report, now: datetime) -> tuple[RgbImage, ...]:
    """Draw the pages, uint8 (1024, 1024, 3) each; the second only if maps were measured.

    Slices are in radiological order: the patient's left is on the right.
    """
    second = bool(measured_quantities(report))
    pages = [_first(report, now, "page 1 of 2" if second else "")]
    if second:
        pages.append(_second(report, now))
    return tuple(np.asarray(page) for page in pages)


def _first(report: Report, now: datetime, number: str) -> Image.Image:
    """Draw nine slices on the left, the table of volumes on the right, caveats below."""
    page, draw = new_page("Deep grey matter volumes on T1", report.model, now, number)
    cut = cutter(report, TILE)
    labels = cut_out(report.labels, cut.box)
    for i, one in enumerate(_SLICES):
        x, y = (i % _COLUMNS) * TILE, TOP + (i // _COLUMNS) * TILE
        page.paste(Image.fromarray(_tile(cut, labels, one)), (x, y))
        caption(draw, one, x, y, TILE)
    _table(draw, report)
    notes = (
        "R, L: right and left of the patient. Slices are cut from the source series and interpolated for display.\n"
        "adults: mean ± SD of the left side in mL, not adjusted for age, N about 58,830 (braincharts)"
    )
    draw.text((12, _BOTTOM), notes, GREY, font())
    _caveats(draw, report, _BOTTOM + 3 * _LINE)
    return page


def _second(report: Report, now: datetime) -> Image.Image:
    """Draw the measured maps."""
    page, draw = new_page("FA and CBF", report.model, now, "page 2 of 2")
    draw_quantities(draw, report, 12, TOP + 6)
    return page


def caption(draw: ImageDraw.ImageDraw, cut: Slice, x: int, y: int, size: int) -> None:
    """Label plane and sides of a slice whose upper left corner is (x, y)."""
    draw.text((x + 5, y + size // 2), "R", WHITE, font(17), anchor="lm")
    draw.text((x + size - 5, y + size // 2), "L", WHITE, font(17), anchor="rm")
    draw.text((x + 5, y + size - 4), cut.plane, WHITE, font(), anchor="lb", stroke_width=1, stroke_fill=BLACK)


def _tile(cut: Cutter, structures: Volume, one: Slice) -> RgbImage:
    """Draw one slice with the structures filled and outlined."""
    grey = cut.grey(one) * 255
    labels = cut.labels(structures, one)
    strength = np.where(labels > 0, np.where(is_outline(labels), 1.0, _FILL), 0.0)[..., None]
    return np.asarray(grey[..., None] * (1 - strength) + colours()[labels] * strength, dtype=np.uint8)


def _table(draw: ImageDraw.ImageDraw, report: Report) -> None:
    """Draw left and right volumes with mean and SD of the population; failed structures are marked."""
    x, step = _COLUMNS * TILE + 14, 86
    end = SIZE - 10
    columns = ((0, x + 150), (1, end))
    for side, column in columns:
        draw.text((column, TOP), ("left, mL", "right, mL")[side], GREY, font(16), anchor="ra")
    for row in range(len(STRUCTURES) // 2):
        sides = report.measurements[2 * row], report.measurements[2 * row + 1]
        top = TOP + 26 + row * step
        draw.rectangle((x, top + 3, x + 17, top + 20), fill=sides[0].structure.rgb)
        draw.text((x + 26, top), sides[0].structure.name, WHITE, font(18))
        draw.text((end, top + 2), _norm(sides[0]), GREY, font(), anchor="ra")
        for side, column in columns:
            text, colour = _cell(sides[side])
            draw.text((column, top + 23), text, colour, font(20), anchor="ra")
            draw.text((column, top + 47), _interval(sides[side]), GREY, font(), anchor="ra")
    notes = "below each volume: its 90 % interval, calibrated\non synthetic heads"
    draw.text((x, TOP + 30 + len(STRUCTURES) // 2 * step), notes, GREY, font())


def _caveats(draw: ImageDraw.ImageDraw, report: Report, y: int) -> None:
    """Draw the caveats whose text is ours; if some do not fit, the last line says so.

    Any other text could name the patient. That this is research only is in the banner already.
    """
    own = [caveat for caveat in report.caveats if caveat.is_our_text and caveat.code != RESEARCH_ONLY]
    found = [f"{caveat.code} {caveat.text}" for caveat in own]
    lines = [line for reason in found for line in textwrap.wrap(reason, _CAVEAT_LETTERS, subsequent_indent="    ")]
    room = max(1, (SIZE - 8 - y) // _LINE)
    if len(lines) > room:
        lines = [*lines[: room - 1], "… and more: every caveat is in result.json"]
    for row, line in enumerate(lines):
        draw.text((12, y + row * _LINE), line, AMBER, font())


def _cell(measurement: Measurement) -> tuple[str, Colour]:
    if measurement.passed:
        return f"{measurement.volume_ml:.2f}", GREEN
    return "failed", ALARM


def _interval(measurement: Measurement) -> str:
    if measurement.interval_ml is None or not measurement.passed:
        return ""
    low, high = measurement.interval_ml
    return f"{low:.2f} to {high:.2f}"


def _norm(measurement: Measurement) -> str:
    structure = measurement.structure
    if structure.norm_ml is None or structure.norm_sd_ml is None:
        return ""
    return f"adults {structure.norm_ml:.1f} ± {structure.norm_sd_ml:.1f}"
