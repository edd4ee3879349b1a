"""Saliency on the T1 → a page of slices as PNG, and volumes as NIfTI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import highdicom as hd
import numpy as np
import SimpleITK as sitk

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.predictions import Target
from lnc_dicom.report import BANNER

_AXIAL_MM, _CORONAL_MM = (-6, 0, 6, 12), (-8, 4)
_HALF_MM = 60
_TITLES = {
    Target.FA: "predicted FA",
    Target.CBF: "predicted CBF",
    Target.STEMS: "predicted stems",
    Target.DISEASE: "likeliest category",
}


def draw_saliency(
    path: Path, volume: hd.Volume, labels: hd.Volume, saliency: Mapping[Target, hd.Volume], note: str
) -> None:
    """Draw every answer in a row: the T1 in grey, the saliency above a fifth of its largest value in colour.

    Slices are in radiological order: the patient's left is on the right.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second to import; only pictures need it

    columns = len(_AXIAL_MM) + len(_CORONAL_MM)
    figure = Figure(figsize=(2.6 * columns, 2.8 * len(saliency) + 0.8), layout="constrained", facecolor="black")
    grid = figure.subplots(len(saliency), columns, squeeze=False)
    upright, found = (v.to_patient_orientation("LPS") for v in (volume, labels))
    middle = np.argwhere(np.isin(found.array, [s.label for s in STRUCTURES if s.name == "putamen"])).mean(axis=0)
    for row, (answer, one) in zip(grid, saliency.items(), strict=True):
        heat = one.to_patient_orientation("LPS").array
        for axes, (axis, mm) in zip(row, [(2, m) for m in _AXIAL_MM] + [(1, m) for m in _CORONAL_MM], strict=True):
            cut = round(float(middle[axis] + mm / upright.spacing[axis]))
            _draw_slice(axes, upright, heat, axis, cut, middle)
        row[0].set_title(_TITLES[answer], color="white", fontsize=10, loc="left")
    figure.suptitle(f"{BANNER}. {note}", color="white", fontsize=10)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _draw_slice(axes, volume: hd.Volume, heat, axis: int, cut: int, middle) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Grey slice with the heat over it."""
    first, second = (a for a in range(3) if a != axis)
    image, over = np.take(volume.array, cut, axis).T, np.take(heat, cut, axis).T
    spacing = volume.spacing
    low, high = np.percentile(image[image > 0], [2, 99]) if (image > 0).any() else (0, 1)
    aspect = spacing[second] / spacing[first]
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, aspect=aspect, interpolation="bilinear")
    axes.imshow(np.ma.masked_less(over, 0.2), cmap="inferno", vmin=0, vmax=1, alpha=0.5, aspect=aspect)
    axes.set_xlim(middle[first] - _HALF_MM / spacing[first], middle[first] + _HALF_MM / spacing[first])
    reach = _HALF_MM / spacing[second]
    ends = (middle[second] - reach, middle[second] + reach)
    axes.set_ylim(*(ends if axis == 1 else ends[::-1]))
    axes.axis("off")


def write_nifti(path: Path, volume: hd.Volume) -> None:
    """Write a volume as NIfTI; other programs lay it on the T1 by its affine."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.transpose(2, 1, 0)))
    image.SetSpacing([float(s) for s in volume.spacing])
    image.SetOrigin([float(p) for p in volume.affine[:3, 3]])
    image.SetDirection([float(c) for c in (volume.affine[:3, :3] / volume.spacing).ravel()])
    sitk.WriteImage(image, str(path))
