import numpy as np
import pytest
import SimpleITK as sitk

from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.segment.evaluate.metrics import compare, mean_of_sides, pairs, read_pair, surface_distance_mm


def _cube(low, high):
    mask = np.zeros((30, 30, 30), bool)
    mask[low:high, 10:20, 10:20] = True
    return mask


def test_surfaces_that_are_the_same_have_no_distance():
    assert surface_distance_mm(_cube(5, 15), _cube(5, 15), (1, 1, 1)) == 0


def test_the_distance_is_in_millimetres():
    assert surface_distance_mm(_cube(5, 15), _cube(5, 17), (1.5, 1, 1)) == pytest.approx(3.0)


def test_an_empty_structure_is_infinitely_far():
    assert surface_distance_mm(_cube(5, 15), _cube(5, 5), (1, 1, 1)) == float("inf")


def test_scores_compare_our_labels_with_freesurfers():
    truth = np.zeros((30, 30, 30), np.int64)
    truth[_cube(5, 15)] = 11
    found = np.zeros((30, 30, 30), np.uint8)
    found[_cube(5, 10)] = 1
    (score,) = compare(found, truth, (1, 1, 2))
    assert score.dice == pytest.approx(2 / 3)
    assert score.true_ml == pytest.approx(2.0)
    assert score.volume_error == pytest.approx(-0.5)
    assert mean_of_sides([score])["caudate"][0] == pytest.approx(2 / 3)


def test_images_and_labels_must_match(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "1.nii").touch()
    with pytest.raises(UnusableInput, match="1 images and 0"):
        pairs(tmp_path / "a", tmp_path / "b")
    with pytest.raises(PathMissing):
        pairs(tmp_path / "a", tmp_path / "none")
    assert pairs(tmp_path / "a", tmp_path / "a") == [(tmp_path / "a" / "1.nii", tmp_path / "a" / "1.nii")]


def _write(path, array, spacing_mm=1.0):
    image = sitk.GetImageFromArray(array.transpose())
    image.SetSpacing([spacing_mm] * 3)
    sitk.WriteImage(image, str(path))


def test_labels_on_another_grid_are_taken_onto_the_image(tmp_path):
    truth = np.zeros((40, 40, 40), np.int16)
    truth[10:20, 10:20, 10:20] = 12
    _write(tmp_path / "labels.nii.gz", truth)
    _write(tmp_path / "image.nii.gz", np.ones((20, 20, 20), np.float32), 2.0)
    volume, known = read_pair(tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz")
    assert known.shape == volume.shape == (20, 20, 20)
    assert (known == 12).sum() * 8 == pytest.approx(1000, rel=0.01)


def test_labels_of_something_else_are_refused(tmp_path):
    for name in ("labels", "image"):
        _write(tmp_path / f"{name}.nii.gz", np.ones((10, 10, 10), np.int16))
    with pytest.raises(UnusableInput, match="no FreeSurfer label"):
        read_pair(tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz")
