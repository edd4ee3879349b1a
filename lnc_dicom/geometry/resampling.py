"""A volume and a grid → the volume at the voxels of that grid; the only place where grids are sampled.

An index names voxel centres: (0, 0, 0) is the middle of the first voxel.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np
import numpy.typing as npt
import torch
from highdicom import Volume
from torch import Tensor
from torch.nn import functional

_EDGE_TOLERANCE = 1e-4
"""Coordinates from -1 to 1 are rounded: this share of half the grid still counts as inside."""


class Outside(Enum):
    """What a point outside the grid gets."""

    FADE = "0, reached linearly within one voxel"
    ZERO = "0"
    NEAREST = "the value of the nearest voxel"


def resample(volume: Volume, lps_mm: npt.NDArray[np.float64], shape: tuple[int, int, int]) -> Tensor:
    """Resample a volume linearly; 0 outside. Voxels finer than the new grid are averaged first, against aliasing.

    lps_mm
        (4, 4), maps an index of the new grid to LPS millimetres.

    Returns float32 of the new shape.
    """
    image = torch.from_numpy(np.ascontiguousarray(volume.array, dtype=np.float32))
    target_mm = float(np.linalg.norm(lps_mm[:3, :3], axis=0).min())
    factors = [min(n, max(1, int(target_mm / s + 0.01))) for n, s in zip(volume.shape, volume.spacing, strict=True)]
    affine = volume.affine.copy()
    if max(factors) > 1:
        image = functional.avg_pool3d(image[None, None], factors)[0, 0]
        affine[:3, 3] = affine[:3, :3] @ ((np.array(factors) - 1) / 2) + affine[:3, 3]
        affine[:3, :3] = affine[:3, :3] * factors
    return sample(image[None], np.linalg.inv(affine) @ lps_mm, shape)[0]


def resample_cubic(volume: Volume, to_volume_mm: npt.NDArray[np.float64], grid: Volume) -> npt.NDArray[np.float32]:
    """Resample a volume on the grid of another one after a motion, with cubic B-splines; 0 outside.

    to_volume_mm
        (4, 4), maps a point of `grid` to a point of `volume`, both in LPS millimetres.

    Returns float32 of the grid's shape.
    """
    import SimpleITK as sitk  # noqa: PLC0415 - a study without maps does not wait for it

    transform = sitk.AffineTransform(3)
    transform.SetMatrix(to_volume_mm[:3, :3].ravel().tolist())
    transform.SetTranslation(to_volume_mm[:3, 3].tolist())
    images = volume.astype(np.float32).to_simpleitk(), grid.to_simpleitk()
    moved = sitk.Resample(*images, transform, sitk.sitkBSpline, 0.0, sitk.sitkFloat32)
    return np.asarray(Volume.from_simpleitk(moved).array, np.float32)


def resample_labels(
    labels: Volume,
    lps_mm: npt.NDArray[np.float64],
    shape: tuple[int, ...],
    warp: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]] | None = None,
) -> npt.NDArray[np.generic]:
    """Resample labels from the nearest voxel; 0 outside.

    lps_mm
        (4, 4), maps an index of the new grid to LPS millimetres.
    warp
        Maps LPS points (N, 3) of the new grid to the points of the labels that they show; None: the same points.
    """
    back = labels.inverse_affine
    planes = []
    for i in range(shape[0]):  # plane by plane: the coordinates of a whole head would take gigabytes
        index = np.indices((1, *shape[1:])).reshape(3, -1).astype(float)
        index[0] += i
        points = lps_mm[:3, :3] @ index + lps_mm[:3, 3:]
        if warp is not None:
            points = warp(points.T).T
        found = nearest(labels.array, back[:3, :3] @ points + back[:3, 3:], 0)
        planes.append(found.reshape(shape[1:]))
    return np.stack(planes)


def nearest(array: npt.NDArray[np.generic], index: npt.NDArray[np.float64], outside: float) -> npt.NDArray[np.generic]:
    """Give the voxel nearest to every index (3, N), in the type of the array."""
    limit = np.array(array.shape)[:, None]
    place = np.rint(index).astype(np.int64)
    inside = ((place >= 0) & (place < limit)).all(axis=0)
    found = array[tuple(np.clip(place, 0, limit - 1))]
    return np.where(inside, found, array.dtype.type(outside))


def sample(
    channels: Tensor,
    index: npt.NDArray[np.float64],
    shape: tuple[int, int, int],
    outside: Outside = Outside.FADE,
) -> Tensor:
    """Sample (C, *old shape) linearly at old index = index (4, 4) @ new index, for every voxel of the new shape."""
    old = np.array(channels.shape[1:], dtype=np.float64)
    to_unit = np.diag([*(2 / np.maximum(old - 1, 1)), 1.0])
    to_unit[:3, 3] = -1
    unit = torch.from_numpy((to_unit @ index)[2::-1].copy()).to(channels.dtype)
    grid = unit[:, 3].expand(*shape, 3)
    for axis, count in enumerate(shape):
        steps = torch.arange(count).reshape([-1 if a == axis else 1 for a in range(4)])
        grid = grid + steps * unit[:, axis]
    return _at_unit(channels, grid, outside)


def sample_at(channels: Tensor, index: Tensor, outside: Outside = Outside.FADE, *, mode: str = "bilinear") -> Tensor:
    """Sample (C, *shape) at any index (..., 3); returns (C, ...).

    mode
        "bilinear" (linear along all three axes) or "nearest".
    """
    limit = (torch.tensor(channels.shape[1:]) - 1).clamp(min=1)
    return _at_unit(channels, (2 * index / limit - 1).flip(-1), outside, mode)


def _at_unit(channels: Tensor, unit: Tensor, outside: Outside, mode: str = "bilinear") -> Tensor:
    """Sample at coordinates (..., 3) that run from -1 to 1 between the outer voxel centres, the last axis first."""
    unit = unit.to(channels.dtype)
    padding = "border" if outside is Outside.NEAREST else "zeros"
    points = unit.reshape(1, -1, 1, 1, 3)
    found = functional.grid_sample(channels[None], points, mode, padding, align_corners=True)[0]
    found = found.reshape(len(channels), *unit.shape[:-1])
    if outside is Outside.ZERO:
        found = found * (unit.abs() <= 1 + _EDGE_TOLERANCE).all(-1)
    return found
