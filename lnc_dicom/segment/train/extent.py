"""FreeSurfer labels of a real head → the same labels in the same places, with the volumes of manual protocols.

FreeSurfer places the nuclei well, but draws pallidum and thalamus larger than experts do: relative to the striatum of
the same head its pallidum is 0.234 and its thalamus 0.88; in five manual brains and the MAGeT template 0.152 and 0.62,
in the 20 manual label maps 0.151 and 0.77, in Eve 0.142 and 0.92. The borders are moved inwards, first where the
intensity differs from that of the nucleus, until the volume is right; cerebrospinal fluid is removed; the result is
smoothed and its largest component kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lnc_dicom.segment.components import largest_component

EXTENT: Mapping[tuple[int, int], float] = {
    (11, 50): 1.0,
    (12, 51): 1.0,
    (13, 52): 0.70,
    (10, 49): 0.86,
    (26, 58): 0.90,
}
"""By FreeSurfer label (left, right): volume of the manual protocols relative to that of FreeSurfer."""
FLOOR: Mapping[tuple[int, int], float] = {(13, 52): 0.142, (10, 49): 0.60}
"""Volume relative to the striatum below which nothing is made smaller: the smallest of any expert."""
_STRIATUM = (11, 50, 12, 51, 26, 58)
_SMOOTH_MM = 0.8
"""Sigma of the blur that turns a mask into a field, whose level is then moved."""
_INTENSITY_WEIGHT = 0.25
"""Shift of the level where the intensity differs from that of the nucleus."""
_RIM_MM = 2.0
"""Fluid is removed up to this depth; deeper fluid is a lacune or a perivascular space within the nucleus."""
_WHITE, _VENTRICLES = (2, 41), (4, 43)


def to_expert_extent(
    labels: npt.NDArray[np.int64], image: npt.NDArray[np.float32], spacing_mm: Sequence[float]
) -> npt.NDArray[np.int64]:
    """Return FreeSurfer labels with the nuclei in the extent of experts; voxels removed become white matter or fluid.

    labels, image
        On the same grid, any axes; the image is a T1 in any unit.
    """
    smooth = ndimage.gaussian_filter(image.astype(np.float32), [0.5 / s for s in spacing_mm])
    fluid_below = _fluid_level(labels, smooth)
    result = labels.copy()
    striatum = _mean_of_sides([int(np.isin(labels, _STRIATUM[side::2]).sum()) for side in (0, 1)])
    for sides, factor in EXTENT.items():
        volumes = [int((labels == n).sum()) for n in sides]
        for number, volume, white in zip(sides, volumes, _WHITE, strict=True):
            if volume == 0:
                continue
            even = (volume + _mean_of_sides(volumes)) / 2  # FreeSurfer's sides differ more than anatomy does
            wanted = min(even, max(factor * even, FLOOR.get(sides, 0.0) * striatum))
            near = ndimage.find_objects((labels == number).astype(np.uint8))[0]
            box = tuple(slice(max(0, s.start - 4), s.stop + 4) for s in near)
            kept = _redraw(labels[box] == number, smooth[box], wanted, fluid_below, spacing_mm)
            part = result[box]
            part[(part == number) & ~kept] = np.where(smooth[box] < fluid_below, 24, white)[(part == number) & ~kept]
            part[kept & ~np.isin(labels[box], _OTHERS)] = number
    return result


_OTHERS = tuple(n for sides in EXTENT for n in sides) + _VENTRICLES


def _mean_of_sides(volumes: Sequence[int]) -> float:
    """Mean of the sides that are present."""
    there = [v for v in volumes if v]
    return sum(there) / max(len(there), 1)


def _fluid_level(labels: npt.NDArray[np.int64], image: npt.NDArray[np.float32]) -> float:
    """Intensity half-way between fluid (inner voxels of the ventricles) and caudate."""
    ventricle = ndimage.binary_erosion(np.isin(labels, _VENTRICLES))
    caudate = ndimage.binary_erosion(np.isin(labels, (11, 50)))
    return float((np.median(image[ventricle]) + np.median(image[caudate])) / 2)


def _redraw(
    mask: npt.NDArray[np.bool_],
    image: npt.NDArray[np.float32],
    wanted: float,
    fluid_below: float,
    spacing_mm: Sequence[float],
) -> npt.NDArray[np.bool_]:
    """Move the border of a mask until `wanted` voxels are left."""
    sigmas = [_SMOOTH_MM / s for s in spacing_mm]
    core = ndimage.binary_erosion(mask)
    inside = image[core if core.any() else mask]
    middle, spread = float(np.median(inside)), float(np.percentile(inside, 90) - np.percentile(inside, 10))
    difference = np.clip(np.abs(image - middle) / max(spread, 1e-6) - 0.5, 0, 1)
    difference = ndimage.gaussian_filter(difference, [0.5 / s for s in spacing_mm])
    field = ndimage.gaussian_filter(mask.astype(np.float32), sigmas) - _INTENSITY_WEIGHT * difference
    depth_mm = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    field[(image < fluid_below) & (depth_mm < _RIM_MM)] = -1
    level = np.partition(field.ravel(), -round(wanted))[-round(wanted)]
    kept = largest_component(field >= max(level, 0.05))
    return np.asarray(ndimage.binary_fill_holes(kept))
