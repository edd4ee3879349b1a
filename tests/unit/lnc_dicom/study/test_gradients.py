import numpy as np
import pytest

from lnc_dicom.errors import OneBValue, TooFewDirections, WrongGradients
from lnc_dicom.study.dcm2niix import Converted
from lnc_dicom.study.gradients import different_directions, gradients

DIRECTIONS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [1, -1, 0]], float)
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1)[:, None]
B = np.array([0.0, *8 * [1000.0]])
G = np.vstack([np.zeros(3), DIRECTIONS])


def _converted(b_values=B, directions=G, volumes=9, brightness=None):
    array = np.ones((4, 4, 4, volumes), np.float32) * (np.arange(64).reshape(4, 4, 4, 1) + 1)
    return Converted(array * (1 if brightness is None else brightness), np.eye(4), b_values, directions)


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
def test_gradients_that_cannot_give_a_tensor_are_refused_by_code(change, error):
    with pytest.raises(error):
        gradients(_converted(**change), 3500)


def test_trace_images_and_too_large_b_values_are_not_used():
    b_values, directions = np.append(B, [1000.0, 9000.0]), np.vstack([G, np.zeros(3), DIRECTIONS[:1]])
    kept, turned = gradients(_converted(b_values, directions, 11), 3500)
    assert (kept < 0).tolist() == 9 * [False] + 2 * [True]
    assert len(turned) == 9


def test_a_direction_and_its_opposite_count_as_one():
    assert different_directions(np.vstack([DIRECTIONS[:3], -DIRECTIONS[:3]])) == 3


def test_a_trace_image_that_passes_for_b_0_is_known_by_its_darkness():
    """dcm2niix takes a volume of GE without a direction for b = 0."""
    b_values, directions = np.append(B, 0.0), np.vstack([G, np.zeros(3)])
    brightness = np.array([1000.0, *8 * [400.0], 420.0], np.float32)
    kept, _ = gradients(_converted(b_values, directions, 10, brightness), 3500)
    assert kept.tolist() == [*B, -1.0]


def test_volumes_at_b_0_that_differ_a_little_are_all_used():
    b_values, directions = np.append(B, 0.0), np.vstack([G, np.zeros(3)])
    brightness = np.array([1000.0, *8 * [400.0], 850.0], np.float32)
    kept, _ = gradients(_converted(b_values, directions, 10, brightness), 3500)
    assert kept.tolist() == [*B, 0.0]
