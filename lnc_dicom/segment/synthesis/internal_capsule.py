"""FreeSurfer labels → the same labels with the internal capsule cut out of the white matter.

FreeSurfer does not label the internal capsule. The rule here follows its definition in anatomy, the white matter
between caudate and thalamus on the inner side and putamen and pallidum on the outer: a voxel of cerebral white matter
belongs to it if it lies *between* the two groups, that is, if the way to the nearest inner and the way to the nearest
outer nucleus point in opposite directions. How opposite is set by MAX_COSINE, chosen so that the volumes agree with
the JHU atlas (anterior limb 3.0 mL, posterior limb 3.75 mL a side in MNI152, whose brain is 1.2 times the mean of the
20 training heads). It ends at the upper border of the thalamus, in front of the thalamus at that of the
caudate: above, the same fibres are called corona radiata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lnc_dicom.anatomy import INTERNAL_CAPSULE_FREESURFER
from lnc_dicom.segment.components import largest_component

MAX_COSINE = -0.15
"""Largest cosine between the directions away from the inner and away from the outer nuclei."""
MAX_GAP_MM = 20.0
"""Largest distance from inner to outer nuclei, measured through the voxel."""
_SMOOTHING_MM = 1.0
"""Sigma with which distances are smoothed before their gradient is taken: voxel corners would leave holes."""
_MARGIN = 3


@dataclass(frozen=True, slots=True)
class _Side:
    """Labels of one side; `inner` is (caudate, thalamus)."""

    white_matter: int
    inner: tuple[int, int]
    outer: tuple[int, int]
    capsule: int


_SIDES = (
    _Side(2, (11, 10), (12, 13), INTERNAL_CAPSULE_FREESURFER[0]),
    _Side(41, (50, 49), (51, 52), INTERNAL_CAPSULE_FREESURFER[1]),
)


def add_internal_capsule(labels: npt.NDArray[np.int64], spacing_mm: Sequence[float]) -> npt.NDArray[np.int64]:
    """Return a copy of FreeSurfer labels, axes (L, P, S), with `INTERNAL_CAPSULE_FREESURFER` in the white matter."""
    result = labels.copy()
    for side in _SIDES:
        nuclei = np.isin(labels, side.inner + side.outer)
        if not nuclei.any():
            continue
        found = ndimage.find_objects(nuclei.astype(np.uint8))[0]
        box = tuple(slice(max(0, s.start - _MARGIN), s.stop + _MARGIN) for s in found)
        result[box][_between(labels[box], side, spacing_mm)] = side.capsule
    return result


def _between(labels: npt.NDArray[np.int64], side: _Side, spacing_mm: Sequence[float]) -> npt.NDArray[np.bool_]:
    """White matter between the inner and the outer nuclei of one side: the largest component."""
    inner, outer = np.isin(labels, side.inner), np.isin(labels, side.outer)
    if not (inner.any() and outer.any()):
        return np.zeros(labels.shape, bool)
    to_inner, to_outer = (ndimage.distance_transform_edt(~mask, sampling=spacing_mm) for mask in (inner, outer))
    away_inner, away_outer = _direction(to_inner, spacing_mm), _direction(to_outer, spacing_mm)
    white = labels == side.white_matter
    near = to_inner + to_outer <= MAX_GAP_MM
    between = white & near & ((away_inner * away_outer).sum(0) <= MAX_COSINE) & _below_top(labels, side)
    return largest_component(ndimage.binary_closing(between) & white)


def _below_top(labels: npt.NDArray[np.int64], side: _Side) -> npt.NDArray[np.bool_]:
    """Mask of the voxels up to the upper border of the thalamus, coronal slice by slice; of the caudate without one."""
    height = np.arange(labels.shape[2])
    caudate, thalamus = (np.where((labels == n).any(axis=0), height, -1).max(axis=1) for n in side.inner)
    top = ndimage.median_filter(np.where(thalamus >= 0, thalamus, caudate), 5, mode="nearest")
    return np.broadcast_to(height <= top[:, None], labels.shape)


def _direction(distance: npt.NDArray[np.float64], spacing_mm: Sequence[float]) -> npt.NDArray[np.float64]:
    """Direction in which a distance grows fastest: unit vectors (3, *shape)."""
    sigmas = [_SMOOTHING_MM / s for s in spacing_mm]
    smooth = ndimage.gaussian_filter(distance, sigmas)
    gradient = np.stack(np.gradient(smooth, *spacing_mm))
    return np.asarray(gradient / np.maximum(np.linalg.norm(gradient, axis=0), 1e-6))
