"""Report → the picture of the summary page: overlays, a table, the banner. No patient data is drawn."""

from __future__ import annotations

import textwrap
from datetime import datetime

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from PIL import Image, ImageDraw, ImageFont

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.page_predictions import draw_predictions
from lnc_dicom.encode.quantities import draw_quantities
from lnc_dicom.report import BANNER, DEMONSTRATION_MODEL, OWN_CAVEATS, UNFAMILIAR
from lnc_dicom.types import Measurement, Report
from lnc_dicom.volume import resample, sample_labels

WIDTH, HEIGHT = 1600, 1200
_TILE = 320
_PIXEL_MM = 0.45
_TILE_SPAN_MM = _TILE * _PIXEL_MM
_AXIAL_MM = (-12.0, -6.0, 0.0, 6.0, 12.0, 18.0)
"""Heights of the axial slices relative to the middle of the putamen and pallidum."""
_CORONAL_MM = (-10.0, 0.0, 10.0)
_WINDOW = (0.5, 99.8)
_FILL = 0.35
_CAVEAT_STEP = 17
_BLACK, _WHITE, _GREY, _RED, _GREEN = (0, 0, 0), (255, 255, 255), (160, 160, 160), (190, 30, 30), (120, 220, 120)


def draw_page(report: Report, now: datetime) -> npt.NDArray[np.uint8]:
    """Draw the page, uint8 (1200, 1600, 3): nine slices on the left, the table on the right.

    Slices are in radiological order: the patient's left is on the right.
    """
    page = Image.new("RGB", (WIDTH, HEIGHT), _BLACK)
    draw = ImageDraw.Draw(page)
    _banner(draw, report, now)
    for i, tile in enumerate(_tiles(report)):
        page.paste(Image.fromarray(tile), ((i % 3) * _TILE, 130 + (i // 3) * _TILE))
    _captions(draw)
    x, y = _table(draw, report)
    y = draw_quantities(draw, report, x, y)
    _caveats(draw, report, x, draw_predictions(draw, report, x, y))
    return np.asarray(page)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _banner(draw: ImageDraw.ImageDraw, report: Report, now: datetime) -> None:
    draw.rectangle((0, 0, WIDTH, 54), fill=_RED)
    draw.text((WIDTH / 2, 27), BANNER, _WHITE, _font(32), anchor="mm")
    draw.text((16, 66), "Deep grey matter volumes from T1-weighted MR", _WHITE, _font(26))
    made = f"{report.model.name} {report.model.version}, computed {now:%Y-%m-%d %H:%M %Z}, automatic, not reviewed"
    draw.text((16, 100), made, _GREY, _font(17))


def _captions(draw: ImageDraw.ImageDraw) -> None:
    for i in range(len(_AXIAL_MM) + len(_CORONAL_MM)):
        x, y = (i % 3) * _TILE, 130 + (i // 3) * _TILE
        draw.text((x + 6, y + _TILE // 2), "R", _WHITE, _font(18), anchor="lm")
        draw.text((x + _TILE - 6, y + _TILE // 2), "L", _WHITE, _font(18), anchor="rm")
        plane = "axial" if i < len(_AXIAL_MM) else "coronal"
        draw.text((x + 6, y + 4), plane, _GREY, _font(14))
    draw.text((16, HEIGHT - 64), "R, L: the patient's right and left", _GREY, _font(16))
    draw.text((16, HEIGHT - 40), "Slices are cut from the source series, interpolated for display", _GREY, _font(16))


def _tiles(report: Report) -> list[npt.NDArray[np.uint8]]:
    """Six axial and three coronal slices through the basal ganglia, with overlay."""
    centre = _centre_mm(report.segmented.labels)
    window = _window(report.volume, centre)
    axial = [_tile(report, centre + [0, 0, mm], ([1, 0, 0], [0, 1, 0]), window) for mm in _AXIAL_MM]
    return axial + [_tile(report, centre + [0, mm, 0], ([1, 0, 0], [0, 0, -1]), window) for mm in _CORONAL_MM]


def _window(volume: Volume, centre_mm: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Grey levels from black to white: percentiles of the brain around the basal ganglia, not of the scalp."""
    lps_mm = np.diag([2.0, 2.0, 2.0, 1.0])
    lps_mm[:3, 3] = centre_mm - 40
    low, high = np.percentile(resample(volume, lps_mm, (40, 40, 40)).numpy(), _WINDOW)
    return float(low), float(high)


def _centre_mm(labels: Volume) -> npt.NDArray[np.float64]:
    """Middle of putamen and pallidum of both sides, in LPS millimetres."""
    wanted = [s.label for s in STRUCTURES if s.name in {"putamen", "pallidum"}]
    index = np.argwhere(np.isin(labels.array, wanted)).mean(axis=0)
    return np.asarray(labels.affine[:3, :3] @ index + labels.affine[:3, 3])


def _tile(
    report: Report,
    centre_mm: npt.NDArray[np.float64],
    axes: tuple[list[int], list[int]],
    window: tuple[float, float],
) -> npt.NDArray[np.uint8]:
    """One slice: columns along axes[0], rows along axes[1], both LPS; structures filled and outlined."""
    right, down = np.array(axes[0], float), np.array(axes[1], float)
    lps_mm = np.eye(4)
    lps_mm[:3, 0], lps_mm[:3, 1], lps_mm[:3, 2] = down * _PIXEL_MM, right * _PIXEL_MM, np.cross(down, right) * _PIXEL_MM
    lps_mm[:3, 3] = centre_mm - (right + down) * (_TILE_SPAN_MM - _PIXEL_MM) / 2
    grey = resample(report.volume, lps_mm, (_TILE, _TILE, 1))[..., 0].numpy()
    grey = np.clip((grey - window[0]) / max(window[1] - window[0], 1e-6), 0, 1) * 255
    labels = np.asarray(sample_labels(report.labels, lps_mm, (_TILE, _TILE, 1))[..., 0], np.uint8)
    colours = np.zeros((len(STRUCTURES) + 1, 3))
    colours[[s.label for s in STRUCTURES]] = [s.rgb for s in STRUCTURES]
    strength = np.where(labels > 0, np.where(_is_outline(labels), 1.0, _FILL), 0.0)[..., None]
    return np.asarray(grey[..., None] * (1 - strength) + colours[labels] * strength, dtype=np.uint8)


def _is_outline(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Labelled pixels with a neighbour of another label."""
    padded = np.pad(labels, 1)
    shifts = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.asarray(np.any([labels != shifted for shifted in shifts], axis=0))


def _table(draw: ImageDraw.ImageDraw, report: Report) -> tuple[int, int]:
    """Volumes left and right with the population's mean and SD; failed structures say so. Returns where it ends."""
    x, y, step = 3 * _TILE + 40, 150, 54
    columns = (x + 40, x + 300, x + 430, x + 470)
    draw.text((columns[0], y), "Volume in mL", _GREY, _font(20))
    draw.text((columns[1], y), "left", _GREY, _font(20), anchor="ra")
    draw.text((columns[2], y), "right", _GREY, _font(20), anchor="ra")
    draw.text((columns[3], y), "adults", _GREY, _font(20))
    for row in range(len(STRUCTURES) // 2):
        left, right = report.measurements[2 * row], report.measurements[2 * row + 1]
        top = y + (row + 1) * step
        draw.rectangle((x, top + 4, x + 22, top + 26), fill=left.structure.rgb)
        draw.text((columns[0], top), left.structure.name, _WHITE, _font(24))
        for measurement, column in ((left, columns[1]), (right, columns[2])):
            text, colour = _cell(measurement)
            draw.text((column, top), text, colour, _font(24), anchor="ra")
            draw.text((column, top + 27), _interval(measurement), _GREY, _font(14), anchor="ra")
        draw.text((columns[3], top), _norm(left), _GREY, _font(18))
    top = y + (len(STRUCTURES) // 2 + 1) * step + 10
    draw.text(
        (x, top),
        "below each volume: its 90 % interval, calibrated on synthetic heads\n"
        "adults: mean ± SD of the left side, N about 58,830 (braincharts), not adjusted for age",
        _GREY,
        _font(15),
    )
    return x, top + 60


def _caveats(draw: ImageDraw.ImageDraw, report: Report, x: int, y: int) -> None:
    """Only caveats of ours: the name of a file that was left out could name the patient. What does not fit is told."""
    own = [caveat for caveat in report.caveats if caveat.code in OWN_CAVEATS]
    own.sort(key=lambda caveat: caveat.code not in {DEMONSTRATION_MODEL, UNFAMILIAR})
    found = [f"{caveat.code} {caveat.text}" for caveat in own]
    lines = [line for reason in found for line in textwrap.wrap(reason, 82, subsequent_indent="    ")]
    room = max(1, (HEIGHT - y) // _CAVEAT_STEP)
    if len(lines) > room:
        lines = [*lines[: room - 1], "… and more: every caveat is in result.json"]
    for row, line in enumerate(lines):
        draw.text((x, y + row * _CAVEAT_STEP), line, (230, 180, 60), _font(14))


def _cell(measurement: Measurement) -> tuple[str, tuple[int, int, int]]:
    if measurement.passed:
        return f"{measurement.volume_ml:.2f}", _GREEN
    return "failed", (240, 90, 90)


def _interval(measurement: Measurement) -> str:
    if measurement.interval_ml is None or not measurement.passed:
        return ""
    low, high = measurement.interval_ml
    return f"{low:.2f} to {high:.2f}"


def _norm(measurement: Measurement) -> str:
    structure = measurement.structure
    if structure.norm_ml is None or structure.norm_sd_ml is None:
        return "no norm"
    return f"{structure.norm_ml:.1f} ± {structure.norm_sd_ml:.1f}"
