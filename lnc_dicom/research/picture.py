"""T1 and labels → a picture of slices with outlines, drawn by matplotlib without its global state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.pages.slices import Cutter, Slice, colours, cut_out, cutter_of, is_outline
from lnc_dicom.types import Measurement

_SLICES = (*(Slice("axial", mm) for mm in (-8.0, 0.0, 8.0)), *(Slice("coronal", mm) for mm in (-12.0, 0.0, 12.0)))
_COLUMNS, _PIXELS = 3, 330


def mosaic(volume: Volume, labels: Volume, size: int = _PIXELS) -> npt.NDArray[np.uint8]:
    """Give three axial slices above three coronal ones, uint8 RGB (2 size, 3 size, 3), left on the right."""
    cut = cutter_of(volume, labels, size)
    part = cut_out(labels, cut.box)
    tiles = [_tile(cut, part, one) for one in _SLICES]
    return np.vstack([np.hstack(tiles[:_COLUMNS]), np.hstack(tiles[_COLUMNS:])])


def _tile(cut: Cutter, part: Volume, one: Slice) -> npt.NDArray[np.uint8]:
    rgb = np.repeat(255 * cut.grey(one)[..., None], 3, axis=2)
    found = cut.labels(part, one)
    outline = is_outline(found)
    rgb[outline] = colours()[found[outline]]
    return rgb.astype(np.uint8)


def draw(volume: Volume, labels: Volume, measurements: Sequence[Measurement]) -> Figure:
    """Draw the slices, and below them the names with the volumes in mL, left and right of the patient."""
    figure = Figure(figsize=(9, 7), dpi=110, facecolor="black")
    axes = figure.add_axes((0, 0.13, 1, 0.87))
    axes.imshow(mosaic(volume, labels), interpolation="nearest")
    axes.set_axis_off()
    for x, y, letter in ((0.008, 0.98, "R"), (0.322, 0.98, "L")):
        axes.text(x, y, letter, transform=axes.transAxes, color="white", va="top")
    by_name: dict[str, list[str]] = {}
    for m in measurements:
        by_name.setdefault(m.structure.name, []).append(f"{m.volume_ml:.2f}" if m.passed else "failed")
    shades = {s.name: s.html_colour for s in STRUCTURES}
    handles = [Patch(color=shades[name], label=f"{name} {' / '.join(both)}") for name, both in by_name.items()]
    legend = figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False, labelcolor="white", fontsize=9)
    legend.set_title("mL, left / right of the patient · research only")
    legend.get_title().set_color("white")
    return figure
