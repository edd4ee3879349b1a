"""Labels, then measured maps → one measurement per structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.measure.gates import check_structures
from lnc_dicom.quantities import Quantity
from lnc_dicom.types import AlignedMap, Asymmetry, Confidence, Measurement, Segmented, Statistic


def measure(segmented: Segmented) -> tuple[Measurement, ...]:
    """Count the voxels of every structure and check it: volume in mL, whole voxels on the source grid, no smoothing.

    A structure without a voxel is reported with 0 mL and has failed.
    """
    voxel_ml = segmented.labels.voxel_volume / 1000.0
    counts = np.bincount(segmented.labels.array.ravel(), minlength=len(STRUCTURES) + 1)
    checks = check_structures(segmented)
    measurements = []
    for s in STRUCTURES:
        volume_ml = int(counts[s.label]) * voxel_ml
        interval_ml = _interval_ml(volume_ml, segmented.confidence.get(s.label))
        measurements.append(Measurement(s, int(counts[s.label]), volume_ml, interval_ml, checks[s.label]))
    return tuple(measurements)


def usable_labels(measurements: Sequence[Measurement]) -> frozenset[int]:
    """Labels of the structures that passed their gates."""
    return frozenset(m.structure.label for m in measurements if m.passed)


def with_statistics(measurements: Sequence[Measurement], maps: Sequence[AlignedMap]) -> tuple[Measurement, ...]:
    """Add FA and CBF from maps that `maps.regional.measure_map` has measured; a structure that failed gets none."""
    return tuple(replace(m, statistics=_statistics(m.structure.label, maps)) if m.passed else m for m in measurements)


def _statistics(label: int, maps: Sequence[AlignedMap]) -> dict[Quantity, Statistic]:
    return {m.map.quantity: m.statistics[label] for m in maps if label in m.statistics}


def asymmetry(measurements: Sequence[Measurement]) -> tuple[Asymmetry, ...]:
    """Give (L - R) / ((L + R) / 2) of volume, FA and CBF for every structure that was measured on both sides."""
    asymmetries = []
    by_side = {(m.structure.name, m.structure.side): m for m in measurements if m.passed}
    for name in dict.fromkeys(m.structure.name for m in measurements):
        left, right = by_side.get((name, Side.LEFT)), by_side.get((name, Side.RIGHT))
        if left is None or right is None:
            continue
        both = [q for q in Quantity if q in left.statistics and q in right.statistics]
        values = {q: asymmetry_index(left.statistics[q].mean, right.statistics[q].mean) for q in both}
        asymmetries.append(Asymmetry(name, asymmetry_index(left.volume_ml, right.volume_ml), values))
    return tuple(asymmetries)


def asymmetry_index(left: float, right: float) -> float | None:
    """Divide the difference of two sides by their mean; None unless both are above 0: noise has no asymmetry."""
    return 2 * (left - right) / (left + right) if min(left, right) > 0 else None


def interval_share(measurement: Measurement) -> float:
    """Give half the width of the 90 % interval as share of the volume, at most 1; 0 where there is no interval."""
    if measurement.interval_ml is None or measurement.volume_ml <= 0:
        return 0.0
    low, high = measurement.interval_ml
    return min(1.0, (high - low) / 2 / measurement.volume_ml)


def _interval_ml(volume_ml: float, confidence: Confidence | None) -> tuple[float, float] | None:
    """Give the 90 % interval of a volume, symmetric in its logarithm."""
    if confidence is None or confidence.volume_error is None:
        return None
    factor = math.exp(confidence.volume_error)
    return volume_ml / factor, volume_ml * factor
