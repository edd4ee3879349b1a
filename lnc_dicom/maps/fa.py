"""Diffusion series → map of FA: the scanner's where there is one, else the tensor's.

Tensor: dcm2niix for b-values and directions, rigid correction of motion, weighted least squares (Salvador et al., Hum
Brain Mapp 2005; 24:144) inside a mask of the brain, both by DIPY.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import NotMeasured, OneBValue, TooFewDirections, WrongGradients
from lnc_dicom.geometry.registration import carry, register
from lnc_dicom.maps.dcm2niix import Converted, convert
from lnc_dicom.maps.vendor_map import load_map, to_fa
from lnc_dicom.options import DiffusionOptions
from lnc_dicom.types import Quantity, QuantityMap, Role, Series

B0_MAX = 50.0
"""A volume with a smaller b-value, in s/mm², counts as b = 0."""
MIN_DIRECTIONS = 6
"""A tensor has six free numbers."""
SAME_DIRECTION_COSINE = 0.999
"""Directions within 2.6° are one direction; g and -g are the same."""
UNIT_TOLERANCE = 0.02
"""A direction must have length 1 within this; rounding in headers stays below 0.001."""
_COARSE_MM = 3.5
"""Motion is found on voxels of about this size: a finer grid takes eight times longer and finds the same."""
_SMOOTHING_MM = (4.0, 2.0)
_MASK_RADIUS = 2
_MASK_PASSES = 2


def fa_map(map_series: Mapping[Role, Series], options: DiffusionOptions) -> QuantityMap | None:
    """Give FA, 0 to 1: the scanner's map, or the tensor's; None without any series.

    Raises UnreadableSeries, UnknownScale, WrongGradients, OneBValue, TooFewDirections.
    """
    if Role.FA_MAP in map_series:
        series = map_series[Role.FA_MAP]
        scanned, caveats = to_fa(load_map(series))
        partner, sources = _partner(map_series, scanned)
        return QuantityMap(Quantity.FA, scanned, partner, Role.FA_MAP.value, (series, *sources), caveats, not sources)
    if Role.DIFFUSION not in map_series:
        return None
    series = map_series[Role.DIFFUSION]
    converted = convert(series)
    b_values, directions = gradients(converted, options.max_b)
    array = np.asarray(converted.array[..., b_values >= 0])
    b_values = b_values[b_values >= 0]
    if options.correct_motion:
        array, directions = correct_motion(converted, array, b_values, directions)
    b0 = converted.volume(array[..., b_values <= B0_MAX].mean(axis=3))
    values = fit(array, b_values, directions)
    count = int((b_values > B0_MAX).sum())
    method = f"tensor, weighted least squares, {count} volumes to b = {b_values.max():.0f} s/mm²"
    return QuantityMap(Quantity.FA, b0.with_array(values), b0, method, (series,))


def _partner(map_series: Mapping[Role, Series], itself: Volume) -> tuple[Volume, tuple[Series, ...]]:
    """Find the image to lay on the T1: mean b = 0 if the diffusion series can be read, else the map itself."""
    series = map_series.get(Role.FA_REGISTRATION)
    if series is None:
        return itself.with_array(np.nan_to_num(itself.array)), ()
    try:
        converted = convert(series)
        if converted.b_values is None or not (converted.b_values <= B0_MAX).any():
            raise WrongGradients("no b-values")
    except NotMeasured:
        return itself.with_array(np.nan_to_num(itself.array)), ()
    return converted.volume(converted.array[..., converted.b_values <= B0_MAX].mean(axis=3)), (series,)


def gradients(converted: Converted, max_b: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give the b-values, one per volume (-1: leave it out), and the directions of those kept, (kept, 3) in LPS.

    Raises WrongGradients, OneBValue, TooFewDirections.
    """
    b_values, directions = converted.b_values, converted.directions
    volumes = converted.array.shape[3]
    if b_values is None or directions is None:
        raise WrongGradients("no b-values or no directions in the header")
    if b_values.size != volumes or directions.shape != (volumes, 3):
        raise WrongGradients(f"{b_values.size} b-values and {len(directions)} directions for {volumes} volumes")
    if not np.isfinite(b_values).all() or b_values.min() < 0:
        raise WrongGradients("b-values that are no numbers or negative")
    weighted = b_values > B0_MAX
    length = np.linalg.norm(directions, axis=1)
    # a trace image has a b-value and no direction: it is no volume of the tensor
    keep = (~weighted | (length > UNIT_TOLERANCE)) & (b_values <= max_b)
    if (np.abs(length[keep & weighted] - 1) > UNIT_TOLERANCE).any():
        raise WrongGradients("gradient directions that are no unit vectors")
    if not (keep & weighted).any():
        raise WrongGradients(f"no volume with a direction and a b-value from {B0_MAX:.0f} to {max_b:.0f} s/mm²")
    if not (keep & ~weighted).any():
        raise OneBValue(f"b-values from {b_values.min():.0f} to {b_values.max():.0f} s/mm² in {volumes} volumes")
    count = different_directions(directions[keep & weighted])
    if count < MIN_DIRECTIONS:
        raise TooFewDirections(f"{count} different directions")
    return np.where(keep, b_values, -1.0), np.where(weighted[:, None], directions, 0.0)[keep]


def different_directions(directions: npt.NDArray[np.float64]) -> int:
    """Count axes that differ, for a gradient and its opposite measure the same."""
    found: list[npt.NDArray[np.float64]] = []
    for direction in directions:
        if all(abs(float(direction @ other)) < SAME_DIRECTION_COSINE for other in found):
            found.append(direction)
    return len(found)


def correct_motion(
    converted: Converted,
    array: npt.NDArray[np.float32],
    b_values: npt.NDArray[np.float64],
    directions: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Lay weighted volumes on their mean and b = 0 volumes on the first of them; turn the directions with the head.

    Not weighted on b = 0: their contrasts differ so much that the motion between them is found wrong by more than heads
    move in a scan (docs/decisions/0008-fa-and-cbf.md).
    """
    moved, turned = array.copy(), directions.copy()
    weighted = b_values > B0_MAX
    references = {
        True: converted.volume(array[..., weighted].mean(axis=3)),
        False: converted.volume(array[..., np.flatnonzero(~weighted)[0]]),
    }
    coarse = {kind: coarser(volume) for kind, volume in references.items()}
    for i in range(array.shape[3]):
        if i == np.flatnonzero(~weighted)[0]:
            continue
        volume = converted.volume(array[..., i])
        motion = register(coarse[bool(weighted[i])], coarser(volume), _SMOOTHING_MM)
        moved[..., i] = np.maximum(carry(volume, motion, volume), 0)
        turned[i] = motion.lps_mm[:3, :3].T @ directions[i]
    return moved, turned


def coarser(volume: Volume) -> Volume:
    """Average blocks of voxels up to `_COARSE_MM`."""
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    factors = np.maximum(1, np.minimum(np.rint(_COARSE_MM / spacing), volume.shape)).astype(int)
    shape = np.array(volume.shape) // factors
    cut = volume.array[tuple(slice(0, n * f) for n, f in zip(shape, factors, strict=True))]
    blocks = cut.reshape([x for n, f in zip(shape, factors, strict=True) for x in (n, f)])
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ ((factors - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * factors
    return Volume(np.ascontiguousarray(blocks.mean(axis=(1, 3, 5)), np.float32), affine, "PATIENT")


def fit(
    array: npt.NDArray[np.float32], b_values: npt.NDArray[np.float64], directions: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Fit a tensor to every voxel of the brain; FA clipped to 0 to 1, nan outside the brain.

    array
        (i, j, k, volume); directions in any one frame, for FA does not depend on it.
    """
    from dipy.core.gradients import gradient_table  # noqa: PLC0415 - a study without diffusion does not wait for it
    from dipy.reconst.dti import TensorModel  # noqa: PLC0415
    from dipy.segment.mask import median_otsu  # noqa: PLC0415

    b0 = array[..., b_values <= B0_MAX].mean(axis=3)
    # the root of the signal: coils near the skull make the middle of the head so dark that a threshold leaves it out
    _, mask = median_otsu(np.sqrt(np.maximum(b0, 0)), median_radius=_MASK_RADIUS, numpass=_MASK_PASSES)
    table = gradient_table(b_values, bvecs=directions, b0_threshold=B0_MAX)
    fa = TensorModel(table, fit_method="WLS").fit(array, mask=mask).fa
    return np.where(mask & np.isfinite(fa), np.clip(fa, 0, 1), np.nan).astype(np.float32)
