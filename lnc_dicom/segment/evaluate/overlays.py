"""Heads with known labels → a page of slices with both outlines, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.evaluate.protocols import LabelProtocol, regions

_AXIAL_MM, _CORONAL_MM = (-6, 0, 6), (-8, 4, 14)
"""Slices through the nuclei, from the middle of the putamina."""
_HALF_MM = 40
"""Half the width of a panel: the nuclei and little else."""
OURS, THEIRS = "#ffae19", "#19d7ff"
"""Colours of the two outlines: orange and cyan, which people with colour blindness can tell apart."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledHead:
    """An image, the labels given with it, and the labels found; all on one grid."""

    name: str
    volume: hd.Volume
    truth: npt.NDArray[np.int64]
    labels: hd.Volume
    protocol: LabelProtocol = LabelProtocol.FREESURFER


def draw_overlays(path: Path, heads: Sequence[LabelledHead]) -> None:
    """Draw every head in a row: the image with our outlines and the given ones, in two colours.

    Slices are in radiological order: the patient's left is on the right.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second to import; only evaluation draws
    from matplotlib.lines import Line2D  # noqa: PLC0415

    columns = len(_AXIAL_MM) + len(_CORONAL_MM)
    figure = Figure(figsize=(3.2 * columns, 3.4 * len(heads) + 0.8), layout="constrained", facecolor="black")
    grid = figure.subplots(len(heads), columns, squeeze=False)
    for row, head in zip(grid, heads, strict=True):
        _draw_head(row, head)
    lines = [Line2D([], [], color=OURS, label="ours"), Line2D([], [], color=THEIRS, label="given")]
    figure.legend(handles=lines, loc="outside upper right", ncols=2, labelcolor="white", facecolor="black")
    figure.suptitle("left of the patient on the right", color="white", fontsize=10)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_head(row, head: LabelledHead) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - matplotlib's axes
    """Draw the slices of one head into a row of axes."""
    given = head.volume.with_array(head.truth.astype(np.int32))
    upright = [v.to_patient_orientation("LPS") for v in (head.volume, given, head.labels)]
    parts, spacing_mm = [v.array for v in upright], upright[0].spacing
    middle = np.argwhere(np.isin(parts[2], [s.label for s in STRUCTURES if s.name == "putamen"])).mean(axis=0)
    places = [(2, mm) for mm in _AXIAL_MM] + [(1, mm) for mm in _CORONAL_MM]
    for axes, (axis, mm) in zip(row, places, strict=True):
        cut = round(float(middle[axis] + mm / spacing_mm[axis]))
        image, truth, found = (np.take(part, cut, axis).T for part in parts)
        others = [a for a in range(3) if a != axis]
        _draw_image(axes, image, [spacing_mm[a] for a in others], [middle[a] for a in others], flip=axis == 1)
        for region in regions(head.protocol):
            _outline(axes, np.isin(truth, region.theirs), THEIRS)
            _outline(axes, np.isin(found, region.ours), OURS)
        axes.set_title(f"{head.name}, {'axial' if axis == 2 else 'coronal'}", color="white", fontsize=9)  # noqa: PLR2004


def _draw_image(axes, image, spacing_mm, middle, *, flip: bool) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Draw a grey image around the nuclei; its rows run along the second of the two in-plane axes."""
    reach = [_HALF_MM / s for s in spacing_mm]
    near = image[
        max(0, int(middle[1] - reach[1])) : int(middle[1] + reach[1]),
        max(0, int(middle[0] - reach[0])) : int(middle[0] + reach[0]),
    ]
    low, high = np.percentile(near, [1, 99.5])
    aspect = spacing_mm[1] / spacing_mm[0]
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, aspect=aspect, interpolation="bilinear")
    axes.set_xlim(middle[0] - reach[0], middle[0] + reach[0])
    axes.set_ylim(*sorted((middle[1] - reach[1], middle[1] + reach[1]), reverse=not flip))
    axes.axis("off")


def _outline(axes, mask: npt.NDArray[np.bool_], colour: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    if mask.any() and not mask.all():
        axes.contour(mask, levels=[0.5], colors=[colour], linewidths=1.0)
