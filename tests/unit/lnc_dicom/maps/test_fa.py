import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from lnc_dicom.geometry.resampling import resample_cubic
from lnc_dicom.maps.fa import correct_motion, downsample, fit
from lnc_dicom.study.dcm2niix import Converted, convert
from lnc_dicom.study.read import read_study

DIRECTIONS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [1, -1, 0]], float)
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1)[:, None]
B = np.array([0.0, *8 * [1000.0]])
G = np.vstack([np.zeros(3), DIRECTIONS])


def _converted(b_values=B, directions=G, volumes=9):
    return Converted(np.ones((4, 4, 4, volumes), np.float32), np.eye(4), b_values, directions)


def _signals(eigenvalues, axes, shape=(12, 12, 12)):
    """A ball of one tensor, noise-free: S = S0 exp(-b g D g)."""
    tensor = axes @ np.diag(eigenvalues) @ axes.T
    signal = 1000 * np.exp(-B * np.einsum("ni,ij,nj->n", G, tensor, G))
    ball = (np.indices(shape) - 5.5) ** 2
    inside = ball.sum(axis=0) < 25
    return (inside[..., None] * signal).astype(np.float32), inside


def test_fa_of_a_known_tensor_follows_the_formula():
    eigenvalues = np.array([1.7e-3, 0.4e-3, 0.3e-3])
    turned, _ = np.linalg.qr(np.array([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]]))
    array, _ = _signals(eigenvalues, turned)
    mean = eigenvalues.mean()
    expected = np.sqrt(1.5 * ((eigenvalues - mean) ** 2).sum() / (eigenvalues**2).sum())
    fa = fit(array, B, G)
    assert np.nanmax(np.abs(fa[4:8, 4:8, 4:8] - expected)) < 1e-3


def test_fa_of_free_water_is_0():
    array, _ = _signals(np.full(3, 3e-3), np.eye(3))
    assert np.nanmax(fit(array, B, G)[4:8, 4:8, 4:8]) < 0.01


def test_downsampling_keeps_positions():
    volume = _converted().volume(np.arange(8**3, dtype=np.float32).reshape(8, 8, 8))
    thin = downsample(volume)
    assert thin.shape == (2, 2, 2)
    centre = volume.affine @ [3.5, 3.5, 3.5, 1]
    assert np.allclose(thin.affine @ [0.5, 0.5, 0.5, 1], centre)


@pytest.mark.slow
def test_a_volume_that_was_moved_on_purpose_is_moved_back(data):
    """Real b = 1000 images of a head; one of them shifted by 4 mm and turned by 4 degrees about the long axis."""
    (series,) = read_study([data / "philips-ingenia-3t" / "dti"]).series
    whole = convert(series)
    few = dataclasses.replace(whole, array=whole.array[::2, ::2, ::2, :4], lps_mm=whole.lps_mm @ np.diag([2, 2, 2, 1]))
    angle = np.radians(4)
    moved = np.eye(4)
    moved[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    moved[:3, 3] = [4, 0, 0]
    array = few.array.copy()
    array[..., 3] = resample_cubic(few.volume(array[..., 3]), moved, few.volume(array[..., 0]))
    b_values, directions = whole.b_values[:4], whole.directions[:4]
    back, turned = correct_motion(few, array, b_values, directions)
    inside = few.array[..., 0] > np.percentile(few.array[..., 0], 80)
    before = np.abs(array[..., 3] - few.array[..., 3])[inside].mean()
    after = np.abs(back[..., 3] - few.array[..., 3])[inside].mean()
    assert after < 0.6 * before
    assert _apart_deg(turned[3], directions[3]) > 1


def _apart_deg(one, other):
    return np.degrees(np.arccos(np.clip(abs(float(one @ other)), 0, 1)))


def _blobs(shape=(32, 36, 30), spacing_mm=2.5):
    """Three smooth blobs, the centre of the grid at the origin."""
    lps_mm = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    lps_mm[:3, 3] = -spacing_mm * (np.array(shape) - 1) / 2
    image = np.zeros(shape, np.float32)
    for centre, value in (((11, 16, 15), 300.0), ((22, 21, 10), 200.0), ((18, 10, 21), 120.0)):
        image += value * (sum((a - c) ** 2 for a, c in zip(np.indices(shape), centre, strict=True)) < 36)
    return ndimage.gaussian_filter(image, 1.2), lps_mm


def test_a_gradient_turns_with_the_head_and_not_against_it():
    """The head of the last volume is turned by 8 degrees to one side; its gradient is brought back to the other."""
    image, lps_mm = _blobs()
    angle = np.radians(8)
    turn = np.eye(4)  # a point of the unturned head → the same point of the turned head
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    directions = np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    converted = Converted(np.stack([image] * 4, axis=3), lps_mm, np.array([0.0, 1000, 1000, 1000]), directions)
    still = converted.volume(image)
    array = converted.array.copy()
    array[..., 3] = resample_cubic(still, np.linalg.inv(turn), still)
    _, turned = correct_motion(converted, array, converted.b_values, directions)
    in_head = turn[:3, :3].T @ directions[3]
    assert _apart_deg(turned[3], in_head) < 3
    assert _apart_deg(turned[3], turn[:3, :3] @ directions[3]) > 10
    assert _apart_deg(turned[1], directions[1]) < 3
