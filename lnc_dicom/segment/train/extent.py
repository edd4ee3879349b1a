"""FreeSurfer's labels of a real head → the same labels where they are, as large as experts draw them.

FreeSurfer finds the place of the nuclei well, but draws pallidum and thalamus larger than any expert: against the
striatum of the same head its pallidum is 0.234 and its thalamus 0.88, in five manual brains and MAGeT's template 0.152
and 0.62, in the 20 manual label maps 0.151 and 0.77, in Eve 0.142 and 0.92. The borders are moved inwards, first where
the image does not look like the nucleus, until the volume is right; cerebrospinal fluid is taken out; what is left is
smoothed and kept in one piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lnc_dicom.segment.components import largest_component_of

EXTENT: Mapping[tuple[int, int], float] = {
    (11, 50): 1.0,
    (12, 51): 1.0,
    (13, 52): 0.70,
    (10, 49): 0.86,
    (26, 58): 0.90,
}
"""By FreeSurfer's numbers, left and right: volume that experts would draw per volume that FreeSurfer draws."""
FLOOR: Mapping[tuple[int, int], float] = {(13, 52): 0.142, (10, 49): 0.60}
"""Volume per volume of the striatum below which nothing is made smaller: the least that an expert drew."""
_STRIATUM = (11, 50, 12, 51, 26, 58)
_SMOOTH_MM = 0.8
"""Sigma of the blur that turns a mask into a field whose level is moved."""
_DOUBT = 0.25
"""How far the level moves where the image looks unlike the nucleus."""
_RIM_MM = 2.0
"""Fluid is taken out of a nucleus no deeper than this; deeper it is a lacune or a perivascular space within it."""
_WHITE, _VENTRICLES = (2, 41), (4, 43)


def to_expert_extent(
    labels: npt.NDArray[np.int64], image: npt.NDArray[np.float32], spacing_mm: Sequence[float]
) -> npt.NDArray[np.int64]:
    """Return FreeSurfer labels with the nuclei in the extent of experts; what they give up becomes white matter.

    labels, image
        On one grid, any axes; the image is a T1 in any unit.
    """
    calm = ndimage.gaussian_filter(image.astype(np.float32), [0.5 / s for s in spacing_mm])
    fluid_below = _fluid_level(labels, calm)
    result = labels.copy()
    striatum = _mean_of_sides([int(np.isin(labels, _STRIATUM[side::2]).sum()) for side in (0, 1)])
    for sides, factor in EXTENT.items():
        volumes = [int((labels == n).sum()) for n in sides]
        for number, volume, white in zip(sides, volumes, _WHITE, strict=True):
            if volume == 0:
                continue
            even = (volume + _mean_of_sides(volumes)) / 2  # FreeSurfer's sides differ more than people's
            wanted = min(even, max(factor * even, FLOOR.get(sides, 0.0) * striatum))
            near = ndimage.find_objects((labels == number).astype(np.uint8))[0]
            box = tuple(slice(max(0, s.start - 4), s.stop + 4) for s in near)
            kept = _redraw(labels[box] == number, calm[box], wanted, fluid_below, spacing_mm)
            part = result[box]
            part[(part == number) & ~kept] = np.where(calm[box] < fluid_below, 24, white)[(part == number) & ~kept]
            part[kept & ~np.isin(labels[box], _OTHERS)] = number
    return result


_OTHERS = tuple(n for sides in EXTENT for n in sides) + _VENTRICLES


def _mean_of_sides(volumes: Sequence[int]) -> float:
    """Mean of the sides that are there."""
    there = [v for v in volumes if v]
    return sum(there) / max(len(there), 1)


def _fluid_level(labels: npt.NDArray[np.int64], image: npt.NDArray[np.float32]) -> float:
    """Brightness half-way between fluid (middle of the ventricles) and caudate."""
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
    """Move the border of a mask until so many voxels are left."""
    sigmas = [_SMOOTH_MM / s for s in spacing_mm]
    core = ndimage.binary_erosion(mask)
    inside = image[core if core.any() else mask]
    middle, spread = float(np.median(inside)), float(np.percentile(inside, 90) - np.percentile(inside, 10))
    unlike = np.clip(np.abs(image - middle) / max(spread, 1e-6) - 0.5, 0, 1)
    unlike = ndimage.gaussian_filter(unlike, [0.5 / s for s in spacing_mm])
    field = ndimage.gaussian_filter(mask.astype(np.float32), sigmas) - _DOUBT * unlike
    depth_mm = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    field[(image < fluid_below) & (depth_mm < _RIM_MM)] = -1
    level = np.partition(field.ravel(), -round(wanted))[-round(wanted)]
    kept = largest_component_of(field >= max(level, 0.05))
    return np.asarray(ndimage.binary_fill_holes(kept))
