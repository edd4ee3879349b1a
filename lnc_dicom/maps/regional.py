"""Aligned map + labels → statistics of the quantity in every structure, measured on the map's own voxels.

The map is never resampled. For each of its voxels, the share that lies in a structure is computed; only voxels that lie
(almost) wholly inside count. Voxels with partial volume are thus excluded, not corrected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.anatomy import MIRRORED_LABELS, STRUCTURES, Structure
from lnc_dicom.geometry.resampling import nearest
from lnc_dicom.maps.alignment import refuse_map
from lnc_dicom.maps.tensor_noise import noise_floor
from lnc_dicom.measure.gates import (
    CAPSULE_ABOVE_GREY,
    CAPSULE_FA,
    FA_OVER_NOISE,
    FLOW_ABOVE_ZERO,
    FLUID_FA,
    GREY_CBF,
    REGION_GATES,
    SIDES_OF_MAP,
    SPREAD_OF_MAP,
    VOXELS_OF_MAP,
    Gate,
)
from lnc_dicom.options import MapsOptions
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.types import AlignedMap, Caveat, Check, QuantityMap, Segmented, Statistic

FEW_VOXELS = "LNC-403"
"""Caveat: fewer than `MIN_VOXELS` voxels of a map lie inside a structure; voxels on its border were used as well."""
NO_VOXELS = "LNC-404"
"""Caveat: a structure could not be measured in a map."""

MIN_VOXELS = 10
"""A mean of fewer voxels is mostly noise."""
HALF_SHARE = 0.5
"""Where too few voxels lie wholly inside a structure, voxels with this share inside or more are used."""
_FINENESS_MM = 0.75
"""Distance of the points within a voxel of the map at which the labels are sampled; labels have 1 mm or more."""
_NUCLEI = ("caudate", "putamen")
_GREY = ("caudate", "putamen", "thalamus")
_FLUID = "lateral ventricle"


def measure_map(aligned: AlignedMap, segmented: Segmented, usable: frozenset[int], options: MapsOptions) -> AlignedMap:
    """Measure a map in the structures whose labels are usable. Raises Implausible, OffTheHead."""
    shares = structure_shares(aligned, segmented.labels)
    statistics: dict[int, Statistic] = {}
    few, none = [], []
    for structure in STRUCTURES:
        if structure.label not in usable:
            continue
        index, is_border = _voxels(shares.get(structure.label), aligned.map, options.inside_share)
        if index.size == 0:
            none.append(structure.title)
            continue
        if is_border:
            few.append(structure.title)
        statistics[structure.label] = _statistic(aligned.map, index)
    checks = plausibility(aligned.map.quantity, statistics)
    refuse_map(checks)
    given, withheld = believable(aligned.map.quantity, statistics)
    caveats = (*aligned.map.caveats, *_caveats(aligned.map.quantity, few, none), *withheld)
    return dataclasses.replace(aligned, checks=(*aligned.checks, *checks), statistics=given, caveats=caveats)


def _statistic(found: QuantityMap, index: npt.NDArray[np.int64]) -> Statistic:
    """Describe the voxels; of FA also their SNR and noise floor, where the noise is known."""
    voxels = found.values.array.ravel()[index]
    sd = float(voxels.std(ddof=1)) if voxels.size > 1 else 0.0
    statistic = Statistic(float(voxels.mean()), sd, float(np.median(voxels)), int(voxels.size))
    if found.noise is None:
        return statistic
    snr, diffusivity = (a.ravel()[index] for a in (found.noise.snr, found.noise.diffusivity))
    known = np.isfinite(snr) & np.isfinite(diffusivity)
    if not known.any():
        return statistic
    median = float(np.median(snr[known]))
    floor = noise_floor(found.noise, median, float(np.median(diffusivity[known])))
    return dataclasses.replace(statistic, snr=median, noise_floor=floor)


def believable(
    quantity: Quantity, statistics: Mapping[int, Statistic]
) -> tuple[dict[int, Statistic], tuple[Caveat, ...]]:
    """Leave out numbers that break a gate of `REGION_GATES`, with a caveat per gate; of two sides that differ, both."""
    given = dict(statistics)
    failed: list[tuple[Structure, Check]] = []
    for structure in (s for s in STRUCTURES if s.label in statistics):
        check = next(
            (c for c in _region_checks(quantity, structure, statistics[structure.label]) if not c.passed), None
        )
        if check is not None:
            failed.append((structure, check))
            del given[structure.label]
    tissue = [s for s in STRUCTURES if s.name != _FLUID and {s.label, MIRRORED_LABELS[s.label]} <= set(given)]
    for structure in tissue:
        one, other = given[structure.label].mean, given[MIRRORED_LABELS[structure.label]].mean
        check = SIDES_OF_MAP.check(2 * abs(one - other) / (one + other) if one + other > 0 else 0.0)
        failed += [] if check.passed else [(structure, check)]
    given = {label: s for label, s in given.items() if label not in {structure.label for structure, _ in failed}}
    return given, tuple(_withheld(quantity, gate, failed) for gate in REGION_GATES if _of_gate(gate, failed))


def _region_checks(quantity: Quantity, structure: Structure, statistic: Statistic) -> tuple[Check, ...]:
    """Check one number; the gate of noise does not ask of fluid, whose FA is that of noise."""
    checks = [VOXELS_OF_MAP.check(statistic.n)]
    fluid = structure.name == _FLUID
    if quantity is Quantity.FA:
        checks += [FLUID_FA.check(statistic.mean)] if fluid else []
        floor = statistic.noise_floor
        checks += [FA_OVER_NOISE.check(statistic.mean / floor)] if floor and not fluid else []
    elif not fluid:
        checks.append(FLOW_ABOVE_ZERO.check(statistic.mean))
    spread = statistic.sd / statistic.mean if statistic.mean > 0 else 0.0
    return (*checks, *(() if fluid else (SPREAD_OF_MAP.check(spread),)))


def _of_gate(gate: Gate, failed: Sequence[tuple[Structure, Check]]) -> list[tuple[Structure, Check]]:
    return [(structure, check) for structure, check in failed if check.code == gate.code]


def _withheld(quantity: Quantity, gate: Gate, failed: Sequence[tuple[Structure, Check]]) -> Caveat:
    parts = "; ".join(f"{structure.title}: {check}" for structure, check in _of_gate(gate, failed))
    return Caveat(gate.code, f"{QUANTITIES[quantity].name} not given: {parts}", is_our_text=True)


def _voxels(
    share: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None, found: QuantityMap, inside_share: float
) -> tuple[npt.NDArray[np.int64], bool]:
    """Give the flat indices of the voxels that count, and whether some of them lie on the border."""
    if share is None:
        return np.empty(0, np.int64), False
    index, part = share
    known = np.isfinite(found.values.array.ravel()[index])
    whole = index[known & (part >= inside_share)]
    if whole.size >= MIN_VOXELS:
        return whole, False
    return index[known & (part >= HALF_SHARE)], True


def _caveats(quantity: Quantity, few: list[str], none: list[str]) -> tuple[Caveat, ...]:
    name = QUANTITIES[quantity].name
    caveats = []
    if few:
        text = f"{name}: fewer than {MIN_VOXELS} voxels wholly inside, border voxels used: {'; '.join(few)}"
        caveats.append(Caveat(FEW_VOXELS, text, is_our_text=True))
    if none:
        text = f"{name}: not measured, no voxel inside: {'; '.join(none)}"
        caveats.append(Caveat(NO_VOXELS, text, is_our_text=True))
    return tuple(caveats)


def structure_shares(
    aligned: AlignedMap, labels: Volume
) -> dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    """Give, by label, flat indices of the map's voxels that touch the structure, and the share of each that is inside.

    Every voxel is divided into equal parts of about `_FINENESS_MM`. The centre of each part is mapped to the T1 by the
    alignment and takes the nearest label there.
    """
    grid = aligned.map.values
    low, high = _box(aligned, labels)
    if (high <= low).any():
        return {}
    parts = [max(2, int(np.ceil(s / _FINENESS_MM))) for s in np.linalg.norm(grid.affine[:3, :3], axis=0)]
    to_label = labels.inverse_affine @ np.linalg.inv(aligned.to_map_mm) @ grid.affine
    counts = np.zeros((int(np.prod(high - low)), len(STRUCTURES) + 1), np.int64)
    voxels = np.indices(tuple(int(n) for n in high - low)).reshape(3, -1) + low[:, None]
    number = np.arange(voxels.shape[1])
    for part in np.ndindex(*parts):
        offset = (np.array(part) + 0.5) / parts - 0.5
        label = nearest(labels.array, to_label[:3, :3] @ (voxels + offset[:, None]) + to_label[:3, 3:], 0)
        counts[number, label] += 1
    shares = counts / np.prod(parts)
    flat = np.ravel_multi_index(tuple(voxels), grid.shape)
    return {s.label: (flat[shares[:, s.label] > 0], shares[shares[:, s.label] > 0, s.label]) for s in STRUCTURES}


def _box(aligned: AlignedMap, labels: Volume) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the part of the map's grid that holds the labels: lowest index, and highest plus one."""
    index = np.argwhere(labels.array > 0)
    if not len(index):
        return np.zeros(3, np.int64), np.zeros(3, np.int64)
    low, high = index.min(axis=0) - 1, index.max(axis=0) + 1
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1)
    to_map = aligned.map.values.inverse_affine @ aligned.to_map_mm @ labels.affine
    places = to_map[:3, :3] @ corners + to_map[:3, 3:]
    shape = np.array(aligned.map.values.shape)
    start = np.clip(np.floor(places.min(axis=1)), 0, shape).astype(np.int64)
    return start, np.clip(np.ceil(places.max(axis=1)) + 1, 0, shape).astype(np.int64)


def plausibility(quantity: Quantity, statistics: Mapping[int, Statistic]) -> tuple[Check, ...]:
    """Check whether the numbers of a map are those of a brain; gates of unmeasured structures are skipped."""
    if quantity is Quantity.FA:
        capsule, grey = _mean(statistics, ("internal capsule",)), _mean(statistics, _NUCLEI)
        checks = [CAPSULE_FA.check(capsule), CAPSULE_ABOVE_GREY.check(capsule - grey)]
    elif quantity is Quantity.CBF:
        checks = [GREY_CBF.check(_mean(statistics, _GREY))]
    else:
        checks = []
    return tuple(check for check in checks if np.isfinite(check.value))


def _mean(statistics: Mapping[int, Statistic], names: tuple[str, ...]) -> float:
    found = [statistics[s.label].mean for s in STRUCTURES if s.name in names and s.label in statistics]
    return float(np.mean(found)) if found else float("nan")
