import numpy as np
import pytest
import SimpleITK as sitk
from highdicom import Volume
from scipy import ndimage

from lnc_dicom.geometry import registration
from lnc_dicom.geometry.registration import Motion, register

SPACING_MM = 2.0
SHAPE = (40, 44, 36)


def _motion(degrees, shift_mm):
    angle = np.deg2rad(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = shift_mm
    return matrix


@pytest.fixture(scope="module")
def head():
    """Three blobs in LPS, the centre of the grid at the origin."""
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = -SPACING_MM * (np.array(SHAPE) - 1) / 2
    image = np.zeros(SHAPE, np.float32)
    for centre, value in (((14, 20, 18), 300.0), ((27, 26, 12), 200.0), ((22, 12, 26), 120.0)):
        distance = sum((a - c) ** 2 for a, c in zip(np.indices(SHAPE), centre, strict=True))
        image += value * (distance < 49)
    return Volume(ndimage.gaussian_filter(image, 1.5), affine, coordinate_system="PATIENT")


def _moved(head, lps_mm, contrast):
    """The head after a motion of its points, on the same grid, with another contrast."""
    back = np.linalg.inv(head.affine) @ np.linalg.inv(lps_mm) @ head.affine
    moved = ndimage.affine_transform(head.array, back[:3, :3], back[:3, 3], order=1)
    return head.with_array(contrast(moved).astype(np.float32))


@pytest.mark.parametrize(("degrees", "shift_mm"), [(0.0, (5.0, -3.0, 2.0)), (6.0, (1.0, 4.0, -2.0))])
def test_a_known_motion_is_found_in_another_contrast(head, degrees, shift_mm):
    true = _motion(degrees, shift_mm)
    found = register(head, _moved(head, true, lambda x: 400 - x), (4.0, 1.0))
    places_mm = np.argwhere(head.array > 50) @ head.affine[:3, :3].T + head.affine[:3, 3]
    apart = places_mm @ (found.lps_mm[:3, :3] - true[:3, :3]).T + found.lps_mm[:3, 3] - true[:3, 3]
    assert np.linalg.norm(apart, axis=1).max() < 1.0  # half a voxel
    assert found.turn_deg == pytest.approx(degrees, abs=1.0)


def test_the_same_images_give_the_same_motion(head):
    moving = _moved(head, _motion(3.0, (2.0, 0.0, 1.0)), lambda x: x)
    one, other = (register(head, moving, (4.0,), sampling=0.3) for _ in range(2))
    assert np.array_equal(one.lps_mm, other.lps_mm)
    assert one.information == other.information


def test_the_shift_is_that_of_the_point_that_moves_farthest():
    motion = Motion(_motion(90.0, (0.0, 0.0, 0.0)), 0.0)
    assert motion.shift_mm(np.array([[0.0, 0, 0], [10.0, 0, 0]])) == pytest.approx(10 * np.sqrt(2))
    assert motion.turn_deg == pytest.approx(90)


def test_the_shift_follows_the_sense_of_the_rotation():
    motion = Motion(_motion(90.0, (10.0, 0.0, 0.0)), 0.0)
    assert motion.shift_mm(np.array([[0.0, 10.0, 0.0]])) == pytest.approx(10.0)  # to (0, 0, 0), not to (20, 0, 0)


def test_a_rotation_around_a_centre_leaves_the_centre_where_it_is():
    transform = sitk.Euler3DTransform()
    transform.SetCenter((10.0, -20.0, 30.0))
    transform.SetRotation(0.1, -0.2, 0.3)
    transform.SetTranslation((1.0, 2.0, -3.0))
    matrix = registration._matrix(transform)
    for point in ((10.0, -20.0, 30.0), (0.0, 0.0, 0.0), (55.0, 4.0, -8.0)):
        np.testing.assert_allclose(matrix[:3, :3] @ point + matrix[:3, 3], transform.TransformPoint(point), atol=1e-9)
