"""Saliency on the T1 → a PNG of slices, and NIfTI volumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.predictions import Target
from lnc_dicom.report import BANNER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]
_AXIAL_MM, _CORONAL_MM = (-6, 0, 6, 12), (-8, 4)
_HALF_MM = 60
_TITLES = {
    Target.FA: "predicted FA",
    Target.CBF: "predicted CBF",
    Target.STEMS: "predicted stems",
    Target.DISEASE: "most likely category",
}


def draw_saliency(
    path: Path, volume: hd.Volume, labels: hd.Volume, saliency: Mapping[Target, hd.Volume], note: str
) -> None:
    """Draw one row of slices per target: the T1 in grey, saliency above a fifth of its maximum in colour.

    Radiological convention: the patient's left is on the right of the image.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second to import; only figures need it

    columns = len(_AXIAL_MM) + len(_CORONAL_MM)
    figure = Figure(figsize=(2.6 * columns, 2.8 * len(saliency) + 0.8), layout="constrained", facecolor="black")
    grid = figure.subplots(len(saliency), columns, squeeze=False)
    upright, found = (v.to_patient_orientation("LPS") for v in (volume, labels))
    middle = _centre(found)
    for row, (target, one) in zip(grid, saliency.items(), strict=True):
        overlay = one.to_patient_orientation("LPS").array
        for axes, (axis, mm) in zip(row, [(2, m) for m in _AXIAL_MM] + [(1, m) for m in _CORONAL_MM], strict=True):
            index = round(float(middle[axis] + mm / upright.spacing[axis]))
            _draw_slice(axes, upright, overlay, axis, index, middle)
        row[0].set_title(_TITLES[target], color="white", fontsize=10, loc="left")
    figure.suptitle(f"{BANNER}. {note}", color="white", fontsize=10)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _centre(labels: hd.Volume) -> npt.NDArray[np.float64]:
    """Voxel index of the centroid of both putamina; of all structures if neither was found."""
    putamen = np.isin(labels.array, [s.label for s in STRUCTURES if s.name == "putamen"])
    return np.asarray(np.argwhere(putamen if putamen.any() else labels.array > 0).mean(axis=0))


def _draw_slice(
    axes: Axes, volume: hd.Volume, saliency: Array, axis: int, index: int, middle: npt.NDArray[np.float64]
) -> None:
    """Draw a grey slice with the saliency over it."""
    first, second = (a for a in range(3) if a != axis)
    image, over = np.take(volume.array, index, axis).T, np.take(saliency, index, axis).T
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
    """Write a volume as NIfTI, with the affine that places it on the T1."""
    sitk.WriteImage(volume.to_simpleitk(), str(path))
