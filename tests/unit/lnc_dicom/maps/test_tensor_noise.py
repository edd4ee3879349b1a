import numpy as np
import pytest

from lnc_dicom.maps.fa import fit, fit_with_noise
from lnc_dicom.maps.tensor_noise import denoise, noise_floor, patch_radius, why_not_denoised
from lnc_dicom.quantities import TensorNoise
from lnc_dicom.study.dcm2niix import Converted

RNG = np.random.default_rng(3)
DIRECTIONS = RNG.normal(size=(16, 3))
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1)[:, None]
G = np.vstack([np.zeros(3), DIRECTIONS])
B = np.array([0.0, *16 * [1000.0]])
SHAPE = (14, 14, 14)


def _isotropic(snr):
    """A ball of isotropic tissue with Rician noise, SD 10."""
    inside = ((np.indices(SHAPE) - 6.5) ** 2).sum(axis=0) < 36
    signal = inside[..., None] * 10 * snr * np.exp(-B * 0.75e-3)
    real, imaginary = RNG.normal(0, 10, size=(2, *SHAPE, 17))
    return np.hypot(signal + real, imaginary).astype(np.float32), inside


def _noise(b_values=B, directions=G):
    return TensorNoise(np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32), b_values, directions)


def test_the_noise_floor_falls_with_the_snr_and_is_that_of_a_simulated_ball():
    floors = [noise_floor(_noise(), snr, 0.75e-3) for snr in (10, 15, 20, 40)]
    assert floors == sorted(floors, reverse=True)
    array, inside = _isotropic(15)
    assert floors[1] == pytest.approx(np.nanmean(fit(array, B, G)[inside]), abs=0.02)


def test_denoising_takes_away_most_of_the_fa_of_isotropic_tissue_and_knows_the_noise_that_is_left():
    array, inside = _isotropic(12)
    clean, left = denoise(array, np.ones(SHAPE, bool))
    assert np.nanmean(fit(clean, B, G)[inside]) < 0.6 * np.nanmean(fit(array, B, G)[inside])
    assert 2 < np.median(left[inside]) < 8  # SD was 10


def test_without_denoising_the_noise_is_what_the_tensor_leaves_unexplained():
    array, inside = _isotropic(20)
    _, noise = fit_with_noise(array, B, G)
    assert np.nanmedian(noise.snr[inside]) == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize(
    ("volumes", "shape", "description", "reason"),
    [
        (7, SHAPE, {}, "7 volumes"),
        (17, (14, 14, 2), {}, "slices"),
        (17, SHAPE, {"ImageType": ["DERIVED", "PRIMARY"]}, "derived"),
        (17, SHAPE, {"AcquisitionMatrixPE": 64, "ReconMatrixPE": 128}, "interpolated"),
        (17, SHAPE, {"AcquisitionMatrixPE": 126, "ReconMatrixPE": 128}, ""),
        (17, SHAPE, {}, ""),
    ],
)
def test_a_series_is_denoised_where_its_noise_is_independent_and_volumes_suffice(volumes, shape, description, reason):
    converted = Converted(np.ones((*shape, volumes), np.float32), np.eye(4), description=description)
    found = why_not_denoised(converted, volumes)
    assert reason in found
    assert bool(found) == bool(reason)


def test_the_patch_has_more_voxels_than_there_are_volumes():
    assert [patch_radius(n) for n in (17, 25, 26, 64, 200)] == [1, 1, 2, 2, 3]
