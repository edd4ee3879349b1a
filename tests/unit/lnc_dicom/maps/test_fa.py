import dataclasses

import numpy as np
import pytest

from lnc_dicom.errors import OneBValue, TooFewDirections, WrongGradients
from lnc_dicom.geometry.registration import Motion, carry
from lnc_dicom.maps.dcm2niix import Converted, convert
from lnc_dicom.maps.fa import coarser, correct_motion, different_directions, fit, gradients
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


def test_fa_of_a_known_tensor_is_the_formula():
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


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"b_values": None}, WrongGradients),
        ({"directions": None}, WrongGradients),
        ({"b_values": B[:-1]}, WrongGradients),
        ({"directions": 2 * G}, WrongGradients),
        ({"b_values": -B}, WrongGradients),
        ({"b_values": np.zeros(9)}, WrongGradients),
        ({"directions": np.zeros((9, 3))}, WrongGradients),
        ({"b_values": np.full(9, 1000.0)}, OneBValue),
        ({"directions": np.vstack([np.zeros(3), *4 * [DIRECTIONS[:2]]])}, TooFewDirections),
        ({"directions": np.vstack([np.zeros(3), DIRECTIONS[:4], -DIRECTIONS[:4]])}, TooFewDirections),
    ],
)
def test_gradients_that_give_no_tensor_are_refused_by_code(change, error):
    with pytest.raises(error):
        gradients(_converted(**change), 3500)


def test_a_trace_image_and_a_b_value_too_large_are_left_out():
    b_values, directions = np.append(B, [1000.0, 9000.0]), np.vstack([G, np.zeros(3), DIRECTIONS[:1]])
    kept, turned = gradients(_converted(b_values, directions, 11), 3500)
    assert (kept < 0).tolist() == 9 * [False] + 2 * [True]
    assert len(turned) == 9


def test_a_direction_and_its_opposite_are_one():
    assert different_directions(np.vstack([DIRECTIONS[:3], -DIRECTIONS[:3]])) == 3


def test_averaging_blocks_keeps_places():
    volume = _converted().volume(np.arange(8**3, dtype=np.float32).reshape(8, 8, 8))
    thin = coarser(volume)
    assert thin.shape == (2, 2, 2)
    centre = volume.affine @ [3.5, 3.5, 3.5, 1]
    assert np.allclose(thin.affine @ [0.5, 0.5, 0.5, 1], centre)


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
    array[..., 3] = carry(few.volume(array[..., 3]), Motion(moved, 0.0), few.volume(array[..., 0]))
    b_values, directions = whole.b_values[:4], whole.directions[:4]
    back, turned = correct_motion(few, array, b_values, directions)
    inside = few.array[..., 0] > np.percentile(few.array[..., 0], 80)
    before = np.abs(array[..., 3] - few.array[..., 3])[inside].mean()
    after = np.abs(back[..., 3] - few.array[..., 3])[inside].mean()
    assert after < 0.6 * before
    angles = np.degrees(np.arccos(np.clip((turned[3] * directions[3]).sum(), -1, 1)))
    assert 1 < angles < 6
