"""LabelMap → one measurement per structure."""

from __future__ import annotations

import numpy as np

from lnc_dicom.anatomy import STRUCTURES, Structure
from lnc_dicom.types import Measurement, Quality, Segmented

MIN_PROBABILITY = 0.75
"""Mean probability of a structure's voxels below which it was not recognised: 0.81 to 0.92 on five real heads and the
template, 0.35 to 0.76 on phantoms and noise (docs/measurements.md)."""


def measure(segmented: Segmented) -> tuple[Measurement, ...]:
    """Count the voxels of every structure: volume in mL, whole voxels on the source grid, no smoothing.

    A structure without a voxel is reported with 0 mL and says so.
    """
    labels = segmented.labels.array
    voxel_ml = segmented.labels.voxel_volume / 1000.0
    counts = np.bincount(labels.ravel(), minlength=len(STRUCTURES) + 1)
    on_edge = _labels_on_edge(labels)
    measurements = []
    for s in STRUCTURES:
        volume_ml = int(counts[s.label]) * voxel_ml
        probability = segmented.probability.get(s.label, 0.0)
        quality = _quality(s, volume_ml, probability, on_edge=s.label in on_edge)
        measurements.append(Measurement(s, int(counts[s.label]), volume_ml, quality))
    return tuple(measurements)


def _quality(structure: Structure, volume_ml: float, probability: float, *, on_edge: bool) -> Quality:
    """Give the first reason why the number must not be used."""
    low, high = structure.plausible_ml
    rules = (
        (volume_ml == 0, Quality.NOT_FOUND),
        (on_edge, Quality.CUT),
        (probability < MIN_PROBABILITY, Quality.UNSURE),
        (not low <= volume_ml <= high, Quality.IMPLAUSIBLE),
    )
    return next((quality for holds, quality in rules if holds), Quality.PASSED)


def _labels_on_edge(labels: np.ndarray) -> set[int]:
    """Labels that touch the outermost voxels of the grid: there may be more of them outside."""
    faces = [labels.take(i, axis) for axis in range(labels.ndim) for i in (0, -1)]
    return {int(label) for face in faces for label in np.unique(face)}
