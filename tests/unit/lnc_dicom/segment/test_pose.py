import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnc_dicom.segment.pose import centroids, fit, upright

CANONICAL = {n: np.random.default_rng(n).uniform(-30, 30, 3) for n in range(1, 9)}


def _turn(axis, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.eye(3)
    i, j = (a for a in range(3) if a != axis)
    turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
    return turn


@given(st.integers(0, 2), st.floats(-170, 170), st.floats(0.5, 2), st.integers(-100, 100))
def test_rotation_scale_and_shift_of_a_head_are_recovered(axis, degrees, scale, shift):
    turn = _turn(axis, degrees)
    found = {n: scale * turn @ point + shift for n, point in CANONICAL.items()}
    placement = fit(found, CANONICAL)
    assert placement.pose.turn_deg == pytest.approx(abs(degrees), abs=0.06)
    assert placement.pose.scale == pytest.approx(scale)
    assert placement.pose.misfit_mm == pytest.approx(0, abs=0.15)
    np.testing.assert_allclose(placement.origin_mm, [shift] * 3, atol=0.2)


def test_noise_in_the_last_digits_does_not_move_the_grid():
    found = {n: _turn(0, 12.34) @ point + 3.21 for n, point in CANONICAL.items()}
    noisy = {n: point + 1e-6 for n, point in found.items()}
    plain, other = (fit(points, CANONICAL).grid((0, 0, 0), 1.25, (4, 4, 4)) for points in (found, noisy))
    np.testing.assert_array_equal(plain, other)


def test_a_mirrored_head_does_not_fit():
    found = {n: point * [-1, 1, 1] for n, point in CANONICAL.items()}
    assert fit(found, CANONICAL).pose.misfit_mm > 5


def test_too_few_structures_give_no_pose():
    assert fit({n: CANONICAL[n] for n in range(1, 6)}, CANONICAL) is None


def test_the_grid_of_a_turned_head_is_turned_and_its_middle_at_the_offset():
    turn = _turn(2, 30)
    placement = fit({n: turn @ point + 7 for n, point in CANONICAL.items()}, CANONICAL)
    lps_mm = placement.grid((0.0, 22.0, 0.0), 1.25, (11, 21, 31))
    np.testing.assert_allclose(lps_mm[:3, :3], turn * 1.25, atol=1e-6)
    middle = lps_mm @ [5, 10, 15, 1]
    np.testing.assert_allclose(middle[:3], turn @ [0, 22, 0] + 7, atol=0.1)
    still = upright(np.array([1.0, 2.0, 3.0])).grid((0.0, 0.0, 0.0), 2.0, (3, 3, 3))
    np.testing.assert_allclose(still @ [1, 1, 1, 1], [1, 2, 3, 1])


def test_centroids_are_in_millimetres():
    labels = np.zeros((8, 8, 8), np.int64)
    labels[2:4, 5, 6] = 3
    lps_mm = np.diag([2.0, 1.0, 1.0, 1.0])
    lps_mm[:3, 3] = [10, 20, 30]
    found = centroids(labels, lps_mm, {3: np.zeros(3), 4: np.zeros(3)})
    assert list(found) == [3]
    np.testing.assert_allclose(found[3], [15, 25, 36])
