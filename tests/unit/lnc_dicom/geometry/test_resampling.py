import numpy as np
import pytest
import torch
from highdicom import Volume
from scipy import ndimage

from lnc_dicom.geometry.resampling import (
    Outside,
    nearest,
    resample,
    resample_cubic,
    resample_labels,
    sample,
    sample_at,
)


def _volume(array, lps_mm):
    return Volume(array, lps_mm, coordinate_system="PATIENT")


def _turned(degrees, spacing_mm=(1.0, 1.0, 1.0), position_mm=(0.0, 0.0, 0.0)):
    angle = np.deg2rad(degrees)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine[:3, :3] = affine[:3, :3] * spacing_mm
    affine[:3, 3] = position_mm
    return affine


def _ramp(points_mm):
    """A field that is linear in space, which linear interpolation must give back exactly."""
    return 2 * points_mm[..., 0] - 3 * points_mm[..., 1] + 0.5 * points_mm[..., 2] + 100


def _places(shape, lps_mm):
    index = np.moveaxis(np.indices(shape), 0, -1)
    return index @ lps_mm[:3, :3].T + lps_mm[:3, 3]


@pytest.fixture(scope="module")
def ramp():
    """The linear field on an oblique, anisotropic, left-handed grid."""
    lps_mm = _turned(20, (1.0, 1.5, -2.0), (-30.0, 12.0, 40.0))
    return _volume(_ramp(_places((40, 30, 24), lps_mm)).astype(np.float32), lps_mm)


def test_a_linear_field_keeps_its_value_at_every_place(ramp):
    shape = (8, 7, 6)
    centre_mm = ramp.affine[:3, :3] @ (np.array(ramp.shape) / 2) + ramp.affine[:3, 3]
    grid = _turned(-35, (1.0, 1.2, 0.9), centre_mm)
    np.testing.assert_allclose(resample(ramp, grid, shape).numpy(), _ramp(_places(shape, grid)), atol=0.01)


def test_a_coarse_grid_gets_averages_at_the_right_place(ramp):
    """Averaging pairs of voxels moves their centre by half a voxel; a linear field shows whether that was counted."""
    shape = (5, 4, 4)
    centre_mm = ramp.affine[:3, :3] @ (np.array(ramp.shape) / 2) + ramp.affine[:3, 3]
    grid = _turned(20, (2.0, 3.0, -4.0), centre_mm)
    np.testing.assert_allclose(resample(ramp, grid, shape).numpy(), _ramp(_places(shape, grid)), atol=0.01)
    noise = ramp.with_array(np.random.default_rng(1).normal(size=ramp.shape).astype(np.float32))
    assert resample(noise, ramp.affine @ np.diag([4, 4, 4, 1]), (9, 7, 5)).std() < 0.3  # not aliased


def test_a_volume_of_one_slice_is_sampled_in_its_plane():
    array = np.arange(25, dtype=np.float32).reshape(1, 5, 5)
    found = resample(_volume(array, np.eye(4)), np.eye(4), (1, 5, 5)).numpy()
    np.testing.assert_allclose(found, array, atol=1e-5)


@pytest.mark.parametrize(
    ("outside", "expected"),
    [(Outside.FADE, [1, 0.5, 0]), (Outside.ZERO, [1, 0, 0]), (Outside.NEAREST, [1, 1, 1])],
)
def test_points_outside_get_what_was_asked_for(outside, expected):
    ones = torch.ones(1, 4, 4, 4)
    points = torch.tensor([[3.0, 1, 1], [3.5, 1, 1], [9.0, 1, 1]])
    np.testing.assert_allclose(sample_at(ones, points, outside)[0], expected, atol=1e-5)
    from_edge = np.diag([0.5, 1.0, 1.0, 1.0])
    from_edge[:3, 3] = [3.0, 1, 1]
    np.testing.assert_allclose(sample(ones, from_edge, (2, 1, 1), outside).flatten(), expected[:2], atol=1e-5)


def test_single_points_and_whole_grids_are_sampled_alike():
    image = torch.randn(2, 6, 7, 8, generator=torch.Generator().manual_seed(1))
    index = _turned(10, (0.9, 0.9, 0.9), (0.5, 0.2, 0.4))
    points = torch.from_numpy(_places((4, 5, 6), index))
    np.testing.assert_allclose(sample_at(image, points), sample(image, index, (4, 5, 6)), atol=1e-5)


def test_codes_are_sampled_from_the_nearest_voxel():
    codes = torch.zeros(1, 3, 3, 3)
    codes[0, 1, 2, 0] = 7
    found = sample_at(codes, torch.tensor([[1.4, 1.6, 0.0], [1.6, 2.0, 0.0]]), mode="nearest")
    assert found[0].tolist() == [7, 0]


def test_nearest_keeps_the_type_and_marks_what_lies_outside():
    array = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    index = np.array([[0.4, 1.0, -0.6], [0.6, 1.0, 0.0], [0.0, 1.4, 0.0]])
    found = nearest(array, index, 0)
    assert found.dtype == np.uint8
    assert found.tolist() == [2, 7, 0]
    assert np.isnan(nearest(array.astype(np.float32), index, np.nan)[2])


def test_labels_come_from_the_nearest_voxel_and_are_0_outside():
    array = np.zeros((6, 6, 6), np.uint8)
    array[2:4, 2:4, 2:4] = 7
    labels = _volume(array, np.eye(4))
    fine = np.diag([0.5, 0.5, 0.5, 1.0])
    fine[:3, 3] = -0.25
    found = resample_labels(labels, fine, (12, 12, 12))
    assert found.dtype == np.uint8
    assert (found == 7).sum() == 8 * 8
    assert not resample_labels(labels, _turned(0, position_mm=(100, 0, 0)), (4, 4, 4)).any()


def test_a_warp_says_where_the_labels_are_looked_up():
    array = np.zeros((8, 8, 8), np.uint8)
    array[1, 4, 4] = 7
    found = resample_labels(_volume(array, np.eye(4)), np.eye(4), (8, 8, 8), lambda points: points - [3, 0, 0])
    assert np.argwhere(found).tolist() == [[4, 4, 4]]


@pytest.fixture(scope="module")
def blobs():
    """Two smooth blobs, the centre of the grid at the origin, 2 mm voxels."""
    shape = (40, 44, 36)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 1.0 - np.array(shape)
    image = np.zeros(shape, np.float32)
    for centre, value in (((14, 20, 18), 300.0), ((27, 26, 12), 200.0)):
        image += value * (sum((a - c) ** 2 for a, c in zip(np.indices(shape), centre, strict=True)) < 49)
    return _volume(ndimage.gaussian_filter(image, 1.5), affine)


def test_a_moved_image_is_brought_back_by_its_motion(blobs):
    motion = _turned(6.0, position_mm=(1.0, 4.0, -2.0))
    back = np.linalg.inv(blobs.affine) @ np.linalg.inv(motion) @ blobs.affine
    moved = blobs.with_array(ndimage.affine_transform(blobs.array, back[:3, :3], back[:3, 3], order=1))
    inside = ndimage.binary_erosion(blobs.array > 100, iterations=2)
    right, wrong = (resample_cubic(moved, way, blobs) - blobs.array for way in (motion, np.linalg.inv(motion)))
    assert np.abs(right[inside]).max() < 0.08 * blobs.array.max()
    assert np.abs(wrong[inside]).max() > 0.3 * blobs.array.max()


def test_nothing_comes_from_beyond_the_image(blobs):
    assert not resample_cubic(blobs, _turned(0, position_mm=(500.0, 0, 0)), blobs).any()
