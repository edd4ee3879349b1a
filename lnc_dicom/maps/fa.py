"""Diffusion series → FA map: the one that the scanner made if there is one, else computed from the tensor.

Tensor: b-values and directions by dcm2niix, denoising, rigid motion correction, then weighted least squares
(Salvador et al., Hum Brain Mapp 2005; 24:144) inside a brain mask, by DIPY.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import NotMeasured, UnreadableSeries, WrongGradients
from lnc_dicom.geometry.registration import register
from lnc_dicom.geometry.resampling import resample_cubic
from lnc_dicom.maps.tensor_noise import denoise, residual_noise, why_not_denoised
from lnc_dicom.maps.vendor_map import load_map, to_fa
from lnc_dicom.options import DiffusionOptions
from lnc_dicom.quantities import Quantity, TensorNoise
from lnc_dicom.study.attributes import Plane, planes_of
from lnc_dicom.study.dcm2niix import Converted, convert
from lnc_dicom.study.gradients import B0_MAX, gradients
from lnc_dicom.study.load import GAP_FACTOR
from lnc_dicom.types import QuantityMap, Role, Series

_COARSE_MM = 3.5
"""Voxel size for motion correction: half of it takes eight times longer and gives the same motion."""
_SMOOTHING_MM = (4.0, 2.0)
_SAME_PLACE_MM = 0.1
"""Positions of the images of one slice, in volume after volume, differ by less: they are rounded."""
_MASK_RADIUS = 2
_MASK_PASSES = 2


def fa_map(map_series: Mapping[Role, Series], options: DiffusionOptions) -> QuantityMap | None:
    """Give FA, 0 to 1: the scanner's map, else computed from the tensor; None without a series for either.

    Raises UnreadableSeries, UnknownScale, WrongGradients, OneBValue, TooFewDirections: of the scanner's map, where the
    tensor cannot be computed either.
    """
    if Role.FA_MAP not in map_series:
        return _tensor_map(map_series[Role.DIFFUSION], options) if Role.DIFFUSION in map_series else None
    try:
        return _scanned_map(map_series)
    except NotMeasured as error:
        if Role.FA_REGISTRATION not in map_series:
            raise
        try:
            return _tensor_map(map_series[Role.FA_REGISTRATION], options)
        except NotMeasured:
            raise error from None


def _scanned_map(map_series: Mapping[Role, Series]) -> QuantityMap:
    series = map_series[Role.FA_MAP]
    scanned, caveats = to_fa(load_map(series))
    image, others = _registration_image(map_series, scanned)
    method, sources = Role.FA_MAP.value, (series, *others)
    return QuantityMap(Quantity.FA, scanned, image, method, sources, caveats, registers_itself=not others)


def _tensor_map(series: Series, options: DiffusionOptions) -> QuantityMap:
    _refuse_missing(planes_of(series))
    return tensor_map(convert(series), options, (series,))


def tensor_map(converted: Converted, options: DiffusionOptions, sources: tuple[Series, ...] = ()) -> QuantityMap:
    """Fit the tensor to volumes with their gradients. Raises WrongGradients, OneBValue, TooFewDirections."""
    b_values, directions = gradients(converted, options.max_b)
    array = np.asarray(converted.array[..., b_values >= 0])
    b_values = b_values[b_values >= 0]
    left = None
    refusal = why_not_denoised(converted, len(b_values)) if options.denoise else "as set"
    if not refusal:
        array, left = denoise(array, brain(array, b_values))
    if options.correct_motion:
        array, directions = correct_motion(converted, array, b_values, directions)
    b0 = converted.volume(array[..., b_values <= B0_MAX].mean(axis=3))
    values, noise = fit_with_noise(array, b_values, directions, left)
    count = int((b_values > B0_MAX).sum())
    method = f"tensor, weighted least squares, {count} volumes to b = {b_values.max():.0f} s/mm², "
    method += f"not denoised: {refusal}" if refusal else "denoised by MP-PCA"
    return QuantityMap(Quantity.FA, b0.with_array(values), b0, method, sources, noise=noise)


def _refuse_missing(planes: Sequence[Plane]) -> None:
    """Raise UnreadableSeries where images are missing or lie nowhere: dcm2niix would close a gap in silence."""
    if not planes:
        raise UnreadableSeries("no diffusion-weighted image has a position, an orientation and a pixel spacing")
    steps = np.diff(sorted(plane.along_mm for plane in planes))
    steps = steps[steps > _SAME_PLACE_MM]
    places = len(steps) + 1
    if len(planes) % places:
        raise UnreadableSeries(f"{len(planes)} diffusion-weighted images at {places} places: images are missing")
    if steps.size and steps.max() > GAP_FACTOR * np.median(steps):
        raise UnreadableSeries(f"a gap of {steps.max():.1f} mm between slices, expected {np.median(steps):.1f} mm")


def _registration_image(map_series: Mapping[Role, Series], itself: Volume) -> tuple[Volume, tuple[Series, ...]]:
    """Choose the image to register to the T1: mean b = 0 if the diffusion series can be read, else the map itself."""
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


def correct_motion(
    converted: Converted,
    array: npt.NDArray[np.float32],
    b_values: npt.NDArray[np.float64],
    directions: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Register weighted volumes to their mean and b = 0 volumes to the first of them; rotate the directions likewise.

    Weighted volumes are not registered to b = 0: the contrasts differ so much that the error is larger than the motion
    of a head during a scan (docs/decisions/0008-fa-and-cbf.md).

    array, b_values, directions
        (i, j, k, volume), (volumes,) and (volumes, 3) in LPS.

    Returns the array on the grid of the reference volumes, and the directions in their frame.
    """
    moved, turned = array.copy(), directions.copy()
    weighted = b_values > B0_MAX
    references = {
        True: converted.volume(array[..., weighted].mean(axis=3)),
        False: converted.volume(array[..., np.flatnonzero(~weighted)[0]]),
    }
    coarse = {kind: downsample(volume) for kind, volume in references.items()}
    for i in range(array.shape[3]):
        if i == np.flatnonzero(~weighted)[0]:
            continue
        volume = converted.volume(array[..., i])
        motion = register(coarse[bool(weighted[i])], downsample(volume), _SMOOTHING_MM)
        moved[..., i] = np.maximum(resample_cubic(volume, motion.lps_mm, volume), 0)
        turned[i] = motion.lps_mm[:3, :3].T @ directions[i]
    return moved, turned


def downsample(volume: Volume) -> Volume:
    """Average blocks of voxels to a size of about `_COARSE_MM`."""
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    factors = np.maximum(1, np.minimum(np.rint(_COARSE_MM / spacing), volume.shape)).astype(int)
    shape = np.array(volume.shape) // factors
    cut = volume.array[tuple(slice(0, n * f) for n, f in zip(shape, factors, strict=True))]
    blocks = cut.reshape([x for n, f in zip(shape, factors, strict=True) for x in (n, f)])
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ ((factors - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * factors
    return Volume(np.ascontiguousarray(blocks.mean(axis=(1, 3, 5)), np.float32), affine, "PATIENT")


def brain(array: npt.NDArray[np.float32], b_values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Find the brain in the mean of the volumes at b = 0; array (i, j, k, volume)."""
    from dipy.segment.mask import median_otsu  # noqa: PLC0415 - a study without diffusion does not wait for it

    b0 = array[..., b_values <= B0_MAX].mean(axis=3)
    # of the root of the signal: near the coils it is so bright that a threshold would exclude the middle of the head
    _, mask = median_otsu(np.sqrt(np.maximum(b0, 0)), median_radius=_MASK_RADIUS, numpass=_MASK_PASSES)
    return np.asarray(mask, np.bool_)


def fit(
    array: npt.NDArray[np.float32], b_values: npt.NDArray[np.float64], directions: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Fit a tensor to every voxel of the brain; FA from 0 to 1, nan outside the brain. Arguments: `fit_with_noise`."""
    return fit_with_noise(array, b_values, directions)[0]


def fit_with_noise(
    array: npt.NDArray[np.float32],
    b_values: npt.NDArray[np.float64],
    directions: npt.NDArray[np.float64],
    left: npt.NDArray[np.float32] | None = None,
) -> tuple[npt.NDArray[np.float32], TensorNoise | None]:
    """Fit a tensor to every voxel of the brain; FA from 0 to 1, nan outside the brain, and its noise.

    array
        (i, j, k, volume).
    directions
        (volumes, 3) in any frame: FA does not depend on it.
    left
        SD of the noise after denoising; None: from what the tensor leaves unexplained.
    """
    from dipy.core.gradients import gradient_table  # noqa: PLC0415 - a study without diffusion does not wait for it
    from dipy.reconst.dti import TensorModel  # noqa: PLC0415

    mask = brain(array, b_values)
    table = gradient_table(b_values, bvecs=directions, b0_threshold=B0_MAX)
    b0 = array[..., b_values <= B0_MAX].mean(axis=3)
    found = TensorModel(table, fit_method="WLS").fit(array, mask=mask)
    sigma = residual_noise(array, np.asarray(found.predict(table, S0=b0), np.float32), mask) if left is None else left
    fa = np.where(mask & np.isfinite(found.fa), np.clip(found.fa, 0, 1), np.nan).astype(np.float32)
    if sigma is None:
        return fa, None
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = np.where(mask & (sigma > 0), b0 / sigma, np.nan).astype(np.float32)
    return fa, TensorNoise(snr, np.asarray(found.md, np.float32), b_values, directions)
