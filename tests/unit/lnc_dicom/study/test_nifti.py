"""NIfTI and MGH files are read as they are meant, and labels come back on the grid of the input."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from lnc_dicom.errors import PathMissing, UnreadableImage
from lnc_dicom.study.nifti import is_image, labels_image, open_image, read_nifti, stem_of, volume_of

AFFINE = np.array([[0, 0, 1.2, -80], [-1, 0, 0, 90], [0, 2.0, 0, -50], [0, 0, 0, 1]])
ARRAY = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def test_the_affine_turns_from_ras_to_lps_and_the_axes_stay(tmp_path):
    nib.Nifti1Image(ARRAY, AFFINE).to_filename(tmp_path / "t1.nii.gz")
    volume = read_nifti(tmp_path / "t1.nii.gz")
    assert np.array_equal(volume.array, ARRAY)
    assert np.allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ AFFINE)


@pytest.mark.parametrize("make", [nib.Nifti2Image, nib.MGHImage])
def test_other_formats_give_the_same_volume(tmp_path, make):
    name = "t1.mgz" if make is nib.MGHImage else "t1.nii"
    make(ARRAY, AFFINE).to_filename(tmp_path / name)
    assert np.allclose(read_nifti(tmp_path / name).affine, np.diag([-1, -1, 1, 1]) @ AFFINE)


def test_lengths_in_metres_become_millimetres():
    image = nib.Nifti1Image(ARRAY, np.diag([0.001, 0.001, 0.001, 1]))
    image.header.set_xyzt_units("meter")
    assert np.allclose(volume_of(image).spacing, 1)


def test_a_sheared_sform_gives_way_to_the_qform():
    image = nib.Nifti1Image(ARRAY, AFFINE)
    image.set_qform(AFFINE, 1)
    image.set_sform(AFFINE @ np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), 2)
    assert np.allclose(volume_of(image).affine, np.diag([-1, -1, 1, 1]) @ AFFINE, atol=1e-5)


def _without_orientation():
    image = nib.Nifti1Image(ARRAY, None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    return image


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (nib.Nifti1Image(np.zeros((4, 5, 6, 7), np.float32), AFFINE), "4 x 5 x 6 x 7"),
        (nib.Nifti1Image(np.zeros((4, 5, 1), np.float32), AFFINE), "4 x 5 x 1"),
        (nib.Nifti1Image(np.zeros((4, 5, 6), np.complex64), AFFINE), "complex64"),
        (_without_orientation(), "left and right"),
    ],
)
def test_what_is_no_3d_image_with_an_orientation_is_refused(image, said):
    with pytest.raises(UnreadableImage, match=said):
        volume_of(image)


def test_values_that_are_no_numbers_count_as_background():
    array = np.ones((4, 5, 6), np.float32)
    array[0, 0, 0] = np.nan
    assert volume_of(nib.Nifti1Image(array, AFFINE)).array[0, 0, 0] == 0


def test_missing_and_damaged_files_are_named_with_a_code(tmp_path):
    with pytest.raises(PathMissing):
        open_image(tmp_path / "nowhere.nii.gz")
    (tmp_path / "text.nii").write_text("not an image")
    with pytest.raises(UnreadableImage):
        open_image(tmp_path / "text.nii")
    nib.Nifti1Image(np.random.default_rng(0).normal(size=(20, 20, 20)), AFFINE).to_filename(tmp_path / "cut.nii.gz")
    whole = gzip.decompress((tmp_path / "cut.nii.gz").read_bytes())
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(whole[:9000]))
    with pytest.raises(UnreadableImage, match="truncated"):
        read_nifti(tmp_path / "cut.nii.gz")


def test_labels_have_shape_affine_and_codes_of_the_input():
    image = nib.Nifti1Image(ARRAY, AFFINE)
    image.set_qform(AFFINE, 1)
    image.set_sform(AFFINE, 4)
    volume = volume_of(image)
    labels = labels_image(volume.with_array(np.ones(volume.shape, np.uint8)), image)
    assert labels.get_data_dtype() == np.uint8
    assert np.array_equal(labels.affine, image.affine)
    assert (int(labels.header["sform_code"]), int(labels.header["qform_code"])) == (4, 1)
    alone = labels_image(volume.with_array(np.ones(volume.shape, np.uint8)), None)
    assert np.allclose(alone.affine, AFFINE)


def test_names_are_taken_apart_at_their_suffix(tmp_path):
    assert [stem_of(tmp_path / n) for n in ("a.b.nii.gz", "a.mgz", "a.NII")] == ["a.b", "a", "a"]
    assert is_image(tmp_path / "T1.NII.GZ")
    assert not is_image(tmp_path / "t1.json")
