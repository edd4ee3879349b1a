"""Diffusion-weighted volumes → volumes with less noise, the noise that is left, and the FA that it feigns.

Noise makes FA of isotropic tissue larger than 0: the noise floor. MP-PCA (Veraart et al., NeuroImage 2016; 142:394, by
DIPY) takes away what a patch of voxels has in common with no gradient direction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.stats import norm, qmc

from lnc_dicom.quantities import TensorNoise
from lnc_dicom.study.dcm2niix import Converted
from lnc_dicom.study.gradients import B0_MAX

Array = npt.NDArray[np.float32]

MIN_VOLUMES = 10
"""With fewer volumes the eigenvalues of noise cannot be told from those of signal."""
MIN_ACQUIRED_SHARE = 0.9
"""Images whose acquired matrix is a smaller share of the stored one were interpolated: their noise is correlated."""
_UNKNOWNS = 7
"""Of a tensor: six components and the signal at b = 0."""
_LEAST_SHARE = 0.2
"""Of the noise, so much remains at least: the difference of two estimates may come out as 0."""
_SIMULATED = 2048
"""A power of two, as Sobol's sequence wants: it stands for chance, and gives the same number every time."""


def why_not_denoised(converted: Converted, volumes: int) -> str:
    """Say why MP-PCA cannot be applied to a series; empty if it can."""
    description = converted.description
    acquired, stored = (float(description.get(name) or 0) for name in ("AcquisitionMatrixPE", "ReconMatrixPE"))
    if volumes < MIN_VOLUMES:
        return f"{volumes} volumes, MP-PCA needs {MIN_VOLUMES}"
    if min(converted.array.shape[:3]) < 2 * patch_radius(volumes) + 1:
        return "too few slices for MP-PCA"
    if "DERIVED" in description.get("ImageType", ()):
        return "derived images"
    return "interpolated images" if 0 < acquired < MIN_ACQUIRED_SHARE * stored else ""


def patch_radius(volumes: int) -> int:
    """Give the radius, in voxels, of the smallest cube with more voxels than there are volumes, as DIPY advises."""
    return next(r for r in range(1, 9) if (2 * r + 1) ** 3 - 1 > volumes)


def denoise(array: Array, mask: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Take noise away inside the mask; also give the SD of the noise that is left, of every voxel.

    What was taken away lies at right angles to what is left, so the variances are subtracted; on images with added
    noise this gives 1.1 to 1.3 times the noise that is really left.
    """
    from dipy.denoise.localpca import mppca  # noqa: PLC0415 - a study without diffusion does not wait for it

    with np.errstate(invalid="ignore", divide="ignore"):
        clean, sigma = mppca(array, mask=mask, patch_radius=patch_radius(array.shape[3]), return_sigma=True)
    usable = mask & np.isfinite(clean).all(axis=3) & np.isfinite(sigma)
    clean = np.where(usable[..., None], clean, array).astype(np.float32)
    taken = _local_mean(((array - clean) ** 2).mean(axis=3), usable)
    variance = np.where(usable, np.asarray(sigma, np.float64) ** 2, np.nan)
    left = np.sqrt(np.maximum(variance - taken, _LEAST_SHARE**2 * variance))
    return clean, np.asarray(left, np.float32)


def residual_noise(array: Array, model: Array, mask: npt.NDArray[np.bool_]) -> Array | None:
    """Give the SD of the noise from what the tensor leaves unexplained; None where it explains everything."""
    spare = array.shape[3] - _UNKNOWNS
    if spare < 1:
        return None
    variance = _local_mean(((array - model) ** 2).sum(axis=3) / spare, mask)
    return np.where(mask, np.sqrt(variance), np.nan).astype(np.float32)


def noise_floor(noise: TensorNoise, snr: float, diffusivity: float) -> float:
    """Give the mean FA of isotropic tissue with this SNR at b = 0 and mean diffusivity in mm²/s: Rician noise alone."""
    from dipy.core.gradients import gradient_table  # noqa: PLC0415
    from dipy.reconst.dti import TensorModel  # noqa: PLC0415

    signal = snr * np.exp(-noise.b_values * diffusivity)
    lattice = qmc.Sobol(2 * signal.size, scramble=False).random(2 * _SIMULATED)[_SIMULATED:]  # the first is all 0
    real, imaginary = np.split(norm.ppf(lattice), 2, axis=1)
    table = gradient_table(noise.b_values, bvecs=noise.directions, b0_threshold=B0_MAX)
    fa = TensorModel(table, fit_method="WLS").fit(np.hypot(signal + real, imaginary)).fa
    return float(np.nanmean(np.clip(fa, 0, 1)))


def _local_mean(values: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Average over the 27 voxels around each one, of those inside the mask."""
    inside = ndimage.uniform_filter(mask.astype(np.float64), 3)
    found = ndimage.uniform_filter(np.where(mask, values, 0).astype(np.float64), 3)
    mean = np.divide(found, inside, out=np.zeros_like(found), where=inside > 0)
    return np.asarray(np.maximum(mean, 0))  # sums that run along an axis leave rounding below 0
