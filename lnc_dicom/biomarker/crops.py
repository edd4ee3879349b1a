"""T1 + labels → one crop per region and side: the input of the network.

A crop lies on a fixed grid around the centroid of its region, axes (L, P, S). Crops of the right side are mirrored, so
that medial is on the same side of every crop and both sides share one network. Channel 0 is the T1 relative to white
matter, channel 1 the mask of the region.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from highdicom import Volume
from torch import Tensor

from lnc_dicom.anatomy import STRUCTURES, Side, Structure
from lnc_dicom.geometry.resampling import resample

SHAPE = (32, 40, 32)
"""Voxels along L, P, S: 48 x 60 x 48 mm, which holds the caudate with a border of 5 mm."""
SPACING_MM = 1.5
MARGIN = 4
"""Voxels kept on every side of a crop, so that training can rotate and shift it."""
DEFAULT_REGIONS = ("caudate", "putamen", "pallidum")
"""The LSA supply at least 85 % of their volume. Which three regions the paper took is not known."""
ALL_REGIONS = (*DEFAULT_REGIONS, "internal capsule", "thalamus")
"""Regions that may be chosen; the LSA do not supply the thalamus, which serves as negative control."""
_WHITE = "internal capsule"
_GREY_LEVEL, _GREY_SPAN, _CLIP = 0.8, 0.1, 3.0
"""Ratio to white matter that becomes 0, the step in it that becomes 1, and where fluid and vessels are clipped."""


def structures_of(regions: Sequence[str]) -> tuple[Structure, ...]:
    """Structures in the order of the crops: all regions of the left side, then all of the right."""
    table = {(s.name, s.side): s for s in STRUCTURES}
    return tuple(table[name, side] for side in (Side.LEFT, Side.RIGHT) for name in regions)


def white_level(volume: Volume, labels: Volume) -> float:
    """Median T1 of both internal capsules, the white matter beside the nuclei; nan if neither was found."""
    wanted = [s.label for s in STRUCTURES if s.name == _WHITE]
    values = volume.array[np.isin(labels.array, wanted)]
    return float(np.median(values)) if values.size else float("nan")


def cut_crops(volume: Volume, labels: Volume, regions: Sequence[str], margin: int = 0) -> Tensor:
    """Cut the crops of all regions, left then right.

    Returns float32 (2 * regions, 2, L, P, S) with `margin` more voxels on every side. The crop of a region without a
    voxel is nan; without white matter all of them are.
    """
    white = white_level(volume, labels)
    structures = structures_of(regions)
    shape = tuple(n + 2 * margin for n in SHAPE)
    crops = torch.full((len(structures), 2, *shape), float("nan"))
    for i, structure in enumerate(structures):
        mask = labels.array == structure.label
        if mask.any() and white > 0:
            lps_mm = _grid(_centroid_mm(mask, labels), shape, mirrored=structure.side is Side.RIGHT)
            box = (shape[0], shape[1], shape[2])
            ratio = resample(volume, lps_mm, box) / white
            crops[i, 0] = ((ratio - _GREY_LEVEL) / _GREY_SPAN).clamp(-_CLIP, _CLIP)
            crops[i, 1] = resample(labels.with_array(mask.astype(np.float32)), lps_mm, box)
    return crops


def without_margin(crops: Tensor) -> Tensor:
    """Remove the margin of crops (…, L, P, S) that were cut with `MARGIN`; nan (nothing found) becomes 0."""
    x, y, z = (slice(MARGIN, MARGIN + n) for n in SHAPE)
    return crops[..., x, y, z].float().nan_to_num(0.0)


def _centroid_mm(mask: npt.NDArray[np.bool_], labels: Volume) -> npt.NDArray[np.float64]:
    index = np.argwhere(mask).mean(axis=0)  # a third of the time of scipy's center_of_mass
    return np.asarray(labels.affine[:3, :3] @ index + labels.affine[:3, 3])


def _grid(centre_mm: npt.NDArray[np.float64], shape: tuple[int, ...], *, mirrored: bool) -> npt.NDArray[np.float64]:
    """Affine from the index of the crop to LPS millimetres; a mirrored grid runs from left to right."""
    step = SPACING_MM * np.array([-1.0 if mirrored else 1.0, 1.0, 1.0])
    lps_mm = np.diag([*step, 1.0])
    lps_mm[:3, 3] = centre_mm - step * (np.array(shape) - 1) / 2
    return lps_mm


def grid_of(labels: Volume, structure: Structure) -> npt.NDArray[np.float64]:
    """Affine of the crop of a structure, index (L, P, S) → LPS millimetres: maps go back to the T1 with it."""
    mask = labels.array == structure.label
    return _grid(_centroid_mm(mask, labels), SHAPE, mirrored=structure.side is Side.RIGHT)


def volumetry_ml(labels: Volume, regions: Sequence[str]) -> npt.NDArray[np.float64]:
    """Volumes in mL of the regions, left then right, then of the lateral ventricles."""
    names = [*structures_of(regions), *(s for s in STRUCTURES if s.name == "lateral ventricle")]
    counts = np.bincount(labels.array.ravel(), minlength=len(STRUCTURES) + 1)
    return np.array([counts[s.label] for s in names]) * labels.voxel_volume / 1000
