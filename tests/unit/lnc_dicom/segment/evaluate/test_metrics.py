import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from lnc_dicom.anatomy import Side
from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.segment.evaluate.metrics import (
    COLUMNS,
    compare,
    head_name,
    mean_of_sides,
    pairs,
    read_pair,
    rows,
    surface_distance_mm,
)
from lnc_dicom.segment.evaluate.protocols import LabelProtocol
from lnc_dicom.study.nifti import read_nifti


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


def test_scores_compare_our_labels_with_those_of_freesurfer():
    truth = np.zeros((30, 30, 30), np.int64)
    truth[_cube(5, 15)] = 11
    found = np.zeros((30, 30, 30), np.uint8)
    found[_cube(5, 10)] = 1
    (score,) = compare(_volume(found, (1, 1, 2)), truth)
    assert score.dice == pytest.approx(2 / 3)
    assert score.true_ml == pytest.approx(2.0)
    assert score.volume_error == pytest.approx(-0.5)
    assert mean_of_sides([score])["caudate"].dice == pytest.approx(2 / 3)


def _volume(array, spacing_mm=(1, 1, 1)):
    return hd.Volume(array, np.diag([*spacing_mm, 1.0]), coordinate_system="PATIENT")


def test_the_offset_is_ours_minus_theirs_along_the_patients_axes():
    truth = np.zeros((30, 30, 30), np.int64)
    truth[_cube(5, 15)] = 11
    found = np.roll((truth == 11).astype(np.uint8), (2, 1, -3), axis=(0, 1, 2))
    turned = hd.Volume(found, np.diag([-1.0, 1.0, 2.0, 1.0]), coordinate_system="PATIENT")
    (score,) = compare(turned, truth)
    assert score.offset_mm == pytest.approx((-2.0, 1.0, -6.0))


def test_lateral_offsets_are_positive_away_from_the_midline_on_both_sides():
    truth, found = np.zeros((60, 10, 10), np.int64), np.zeros((60, 10, 10), np.uint8)
    truth[40:44], truth[10:14] = 11, 50
    found[41:45], found[9:13] = 1, 2
    assert mean_of_sides(compare(_volume(found), truth))["caudate"].offset_mm == pytest.approx((1.0, 0.0, 0.0))


def test_the_striatum_of_maget_is_compared_with_caudate_putamen_and_accumbens():
    truth, found = np.zeros((9, 9, 9), np.int64), np.zeros((9, 9, 9), np.uint8)
    truth[:3] = 1
    found[0], found[1], found[2] = 1, 3, 9
    (score,) = compare(_volume(found), truth, LabelProtocol.MAGE)
    assert (score.name, score.side, score.dice) == ("striatum", Side.LEFT, 1.0)


def test_a_table_has_a_row_for_every_region():
    truth = np.zeros((30, 30, 30), np.int64)
    truth[_cube(5, 15)] = 11
    found = (truth == 11).astype(np.uint8)
    (row,) = rows(compare(_volume(found), truth))
    assert row == ["caudate", "1.000", "0.00", "+0.0", "+0.0", "+0.0", "+0.0"]
    assert len(row) == len(COLUMNS)


def test_a_head_has_the_name_of_its_file(tmp_path):
    assert [head_name(tmp_path / name) for name in ("a-1.nii.gz", "b.2.nii", "c.mgz", "d")] == ["a-1", "b.2", "c", "d"]


def test_an_mgz_file_gives_the_same_volume_as_nifti(tmp_path):
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    affine = np.array([[-1, 0, 0, 5], [0, 0, 1, 6], [0, -1, 0, 7], [0, 0, 0, 1.0]])
    nib.save(nib.MGHImage(array, affine), tmp_path / "head.mgz")
    nib.save(nib.Nifti1Image(array, affine), tmp_path / "head.nii.gz")
    one, other = (read_nifti(tmp_path / name).to_patient_orientation("LPS") for name in ("head.mgz", "head.nii.gz"))
    np.testing.assert_array_equal(one.array, other.array)
    np.testing.assert_allclose(one.affine, other.affine)


def test_images_and_labels_must_be_equally_many(tmp_path):
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


def test_labels_on_another_grid_are_resampled_to_the_image(tmp_path):
    truth = np.zeros((40, 40, 40), np.int16)
    truth[10:20, 10:20, 10:20] = 12
    _write(tmp_path / "labels.nii.gz", truth)
    _write(tmp_path / "image.nii.gz", np.ones((20, 20, 20), np.float32), 2.0)
    volume, known = read_pair(tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz")
    assert known.shape == volume.shape == (20, 20, 20)
    assert (known == 12).sum() * 8 == pytest.approx(1000, rel=0.01)


def test_labels_without_our_structures_are_refused(tmp_path):
    for name in ("labels", "image"):
        _write(tmp_path / f"{name}.nii.gz", np.ones((10, 10, 10), np.int16))
    with pytest.raises(UnusableInput, match="no label of the protocol freesurfer"):
        read_pair(tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz")
