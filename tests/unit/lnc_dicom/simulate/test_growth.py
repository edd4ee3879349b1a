import numpy as np
import pytest

from lnc_dicom.simulate.growth import MAX_DISPLACEMENT_MM, prepare_growth


@pytest.fixture(scope="module")
def balls():
    """Two balls of 10 and 8 mm that touch."""
    x, y, z = np.meshgrid(*[np.arange(64.0)] * 3, indexing="ij")
    structures = np.zeros((64, 64, 64), np.uint8)
    structures[(x - 22) ** 2 + (y - 32) ** 2 + (z - 32) ** 2 < 100] = 1
    structures[(x - 40) ** 2 + (y - 32) ** 2 + (z - 32) ** 2 < 64] = 2
    return prepare_growth(structures, 2, (1.0, 1.0, 1.0), (32.0, 32.0, 32.0))


def test_a_ball_grows_by_its_surface_times_the_displacement_of_its_wall(balls):
    surface_mm2 = 4 * np.pi * 100
    assert balls.gain_ml[0, 0] == pytest.approx(surface_mm2 / 1000, rel=0.3)


def test_what_one_structure_gains_its_neighbour_loses(balls):
    assert balls.gain_ml[1, 0] < 0
    assert balls.gain_ml[0, 1] < 0


def test_the_displacements_reach_both_volumes_at_once(balls):
    steps = balls.steps_mm(np.array([0.3, -0.1]))
    np.testing.assert_allclose(balls.gain_ml @ steps, [0.3, -0.1], atol=0.03)
    assert np.abs(steps).max() < MAX_DISPLACEMENT_MM
