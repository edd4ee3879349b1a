"""LabelMap + measured maps → one measurement per structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.measure.gates import check_structures
from lnc_dicom.types import AlignedMap, Asymmetry, Confidence, Measurement, Quantity, Segmented, Statistic


def measure(segmented: Segmented, maps: Sequence[AlignedMap] = ()) -> tuple[Measurement, ...]:
    """Count the voxels of every structure: volume in mL, whole voxels on the source grid, no smoothing.

    A structure without a voxel is reported with 0 mL and has failed. FA and CBF come from `maps`, which
    `maps.measure_map` has measured; a structure that failed has none.
    """
    voxel_ml = segmented.labels.voxel_volume / 1000.0
    counts = np.bincount(segmented.labels.array.ravel(), minlength=len(STRUCTURES) + 1)
    checks = check_structures(segmented)
    measurements = []
    for s in STRUCTURES:
        volume_ml = int(counts[s.label]) * voxel_ml
        interval_ml = _interval_ml(volume_ml, segmented.confidence.get(s.label))
        measured = Measurement(s, int(counts[s.label]), volume_ml, interval_ml, checks[s.label])
        if measured.passed:
            measured = replace(measured, statistics=_statistics(s.label, maps))
        measurements.append(measured)
    return tuple(measurements)


def usable_labels(segmented: Segmented) -> frozenset[int]:
    """Labels of the structures that passed their gates."""
    checks = check_structures(segmented)
    return frozenset(label for label, found in checks.items() if all(check.passed for check in found))


def _statistics(label: int, maps: Sequence[AlignedMap]) -> dict[Quantity, Statistic]:
    return {m.map.quantity: m.statistics[label] for m in maps if label in m.statistics}


def asymmetry(measurements: Sequence[Measurement]) -> tuple[Asymmetry, ...]:
    """Asymmetry of volume, FA and CBF, (L - R) / ((L + R) / 2), of every structure measured on both sides."""
    rows = []
    by_side = {(m.structure.name, m.structure.side): m for m in measurements if m.passed}
    for name in dict.fromkeys(m.structure.name for m in measurements):
        left, right = by_side.get((name, Side.LEFT)), by_side.get((name, Side.RIGHT))
        if left is None or right is None:
            continue
        both = [q for q in Quantity if q in left.statistics and q in right.statistics]
        values = {q: index(left.statistics[q].mean, right.statistics[q].mean) for q in both}
        rows.append(Asymmetry(name, index(left.volume_ml, right.volume_ml), values))
    return tuple(rows)


def index(left: float, right: float) -> float | None:
    """Difference of two sides over their mean; None where a side is not above 0: noise about 0 has no side."""
    return 2 * (left - right) / (left + right) if min(left, right) > 0 else None


def _interval_ml(volume_ml: float, sign: Confidence | None) -> tuple[float, float] | None:
    """90 % interval of a volume, symmetric in its logarithm."""
    if sign is None or sign.volume_error is None:
        return None
    factor = math.exp(sign.volume_error)
    return volume_ml / factor, volume_ml * factor
