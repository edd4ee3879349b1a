"""Aligned map + labels → statistics of the quantity in every structure, measured on the map's own voxels.

The map is never resampled. For each of its voxels, the share that lies in a structure is computed; only voxels that lie
(almost) wholly inside count. Voxels with partial volume are thus excluded, not corrected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.geometry.resampling import nearest
from lnc_dicom.maps.alignment import refuse_map
from lnc_dicom.measure.gates import CAPSULE_ABOVE_GREY, CAPSULE_FA, GREY_CBF
from lnc_dicom.options import MapsOptions
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.types import AlignedMap, Caveat, Check, Segmented, Statistic

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


def measure_map(aligned: AlignedMap, segmented: Segmented, usable: frozenset[int], options: MapsOptions) -> AlignedMap:
    """Measure a map in the structures whose labels are usable. Raises Implausible, OffTheHead."""
    shares = structure_shares(aligned, segmented.labels)
    statistics: dict[int, Statistic] = {}
    few, none = [], []
    values = aligned.map.values.array.ravel()
    for structure in STRUCTURES:
        if structure.label not in usable:
            continue
        voxels, is_border = _voxels(shares.get(structure.label), values, options.inside_share)
        if voxels.size == 0:
            none.append(structure.title)
            continue
        if is_border:
            few.append(structure.title)
        sd = float(voxels.std(ddof=1)) if voxels.size > 1 else 0.0
        statistics[structure.label] = Statistic(float(voxels.mean()), sd, float(np.median(voxels)), int(voxels.size))
    checks = plausibility(aligned.map.quantity, statistics)
    refuse_map(checks)
    caveats = _caveats(aligned.map.quantity, few, none)
    return dataclasses.replace(
        aligned, checks=(*aligned.checks, *checks), statistics=statistics, caveats=(*aligned.map.caveats, *caveats)
    )


def _voxels(
    share: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None,
    values: npt.NDArray[np.float32],
    inside_share: float,
) -> tuple[npt.NDArray[np.float32], bool]:
    """Give the values of the voxels that count, and whether some of them lie on the border."""
    if share is None:
        return np.empty(0, np.float32), False
    index, part = share
    found = values[index]
    known = np.isfinite(found)
    whole = found[known & (part >= inside_share)]
    if whole.size >= MIN_VOXELS:
        return whole, False
    return found[known & (part >= HALF_SHARE)], True


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
