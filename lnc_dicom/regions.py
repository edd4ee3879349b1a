"""LabelMap → one measurement per structure."""

from __future__ import annotations

import numpy as np

from lnc_dicom.anatomy import STRUCTURES, Structure
from lnc_dicom.types import Measurement, Quality, Segmented


def measure(segmented: Segmented) -> tuple[Measurement, ...]:
    """Count the voxels of every structure: volume in mL, whole voxels on the source grid, no smoothing.

    A structure without a voxel is reported with 0 mL and says so.
    """
    labels = segmented.labels.array
    voxel_ml = segmented.labels.voxel_volume / 1000.0
    counts = np.bincount(labels.ravel(), minlength=len(STRUCTURES) + 1)
    on_edge = _labels_on_edge(labels)
    return tuple(_measurement(s, int(counts[s.label]), voxel_ml, on_edge=s.label in on_edge) for s in STRUCTURES)


def _measurement(structure: Structure, voxels: int, voxel_ml: float, *, on_edge: bool) -> Measurement:
    volume_ml = voxels * voxel_ml
    low, high = structure.plausible_ml
    if voxels == 0:
        quality = Quality.NOT_FOUND
    elif on_edge:
        quality = Quality.CUT
    elif not low <= volume_ml <= high:
        quality = Quality.IMPLAUSIBLE
    else:
        quality = Quality.PASSED
    return Measurement(structure, voxels, volume_ml, quality)


def _labels_on_edge(labels: np.ndarray) -> set[int]:
    """Labels that touch the outermost voxels of the grid: there may be more of them outside."""
    faces = [labels.take(i, axis) for axis in range(labels.ndim) for i in (0, -1)]
    return {int(label) for face in faces for label in np.unique(face)}
