"""LabelMap → one measurement per structure."""

from __future__ import annotations

import math

import numpy as np

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.quality import check_structures
from lnc_dicom.types import Measurement, Segmented, Sign


def measure(segmented: Segmented) -> tuple[Measurement, ...]:
    """Count the voxels of every structure: volume in mL, whole voxels on the source grid, no smoothing.

    A structure without a voxel is reported with 0 mL and has failed.
    """
    voxel_ml = segmented.labels.voxel_volume / 1000.0
    counts = np.bincount(segmented.labels.array.ravel(), minlength=len(STRUCTURES) + 1)
    checks = check_structures(segmented)
    measurements = []
    for s in STRUCTURES:
        volume_ml = int(counts[s.label]) * voxel_ml
        interval_ml = _interval_ml(volume_ml, segmented.signs.get(s.label))
        measurements.append(Measurement(s, int(counts[s.label]), volume_ml, interval_ml, checks[s.label]))
    return tuple(measurements)


def _interval_ml(volume_ml: float, sign: Sign | None) -> tuple[float, float] | None:
    """90 % interval of a volume, symmetric in its logarithm."""
    if sign is None or sign.volume_error is None:
        return None
    factor = math.exp(sign.volume_error)
    return volume_ml / factor, volume_ml * factor
