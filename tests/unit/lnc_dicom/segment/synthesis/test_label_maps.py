import numpy as np
import pytest
import SimpleITK as sitk

from lnc_dicom.anatomy import DEEP_GREY, INTERNAL_CAPSULE_FREESURFER, STRUCTURES
from lnc_dicom.errors import UnusableInput
from lnc_dicom.segment.synthesis.label_maps import (
    DISPLACEMENT_SPACING_MM,
    load_label_map,
    load_label_maps,
    load_palette,
    ventricle_displacement,
)

FREESURFER = sorted({0, 2, 41, 24, 500, *(s.freesurfer for s in STRUCTURES)} - set(INTERNAL_CAPSULE_FREESURFER))


@pytest.fixture
def folder(tmp_path):
    """Priors of the labels; the tissue of a label is its place in the list."""
    np.save(tmp_path / "generation_labels.npy", np.array(FREESURFER))
    np.save(tmp_path / "generation_classes_contrast_specific.npy", np.arange(len(FREESURFER)))
    for name in ("prior_means_t1", "prior_stds_t1"):
        np.save(tmp_path / f"{name}.npy", np.ones((2, len(FREESURFER))))
    return tmp_path


def _write(path, labels, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)):
    image = sitk.GetImageFromArray(labels.transpose().astype(np.int16))
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


def _a_head():
    labels = np.full((20, 22, 24), 2)
    labels[4:8, 4:8, 4:8] = 12
    return labels


def test_the_internal_capsule_has_the_intensity_of_white_matter(folder):
    palette = load_palette(folder)
    tissues = {palette.tissue[palette.code(label)] for label in (2, INTERNAL_CAPSULE_FREESURFER[0])}
    assert len(tissues) == 1


def test_a_folder_without_priors_is_refused_by_their_names(folder):
    (folder / "prior_stds_t1.npy").unlink()
    with pytest.raises(UnusableInput, match=r"prior_stds_t1\.npy"):
        load_palette(folder)


def test_deep_grey_is_class_1_other_brain_class_2_and_neither_fluid_nor_skull_is_brain(folder):
    palette = load_palette(folder)
    regions = dict(zip(palette.labels.tolist(), palette.regions().tolist(), strict=True))
    assert {regions[s.freesurfer] for s in DEEP_GREY} == {1}
    assert [regions[label] for label in (2, 4, 0, 24, 500)] == [2, 2, 0, 0, 0]


def test_a_label_map_has_axes_left_posterior_superior_whatever_the_file_has(folder):
    palette = load_palette(folder)
    _write(folder / "a.nii.gz", _a_head())
    _write(folder / "b.nii.gz", _a_head()[::-1], (-1, 0, 0, 0, 1, 0, 0, 0, 1))
    plain, flipped = load_label_maps(folder, palette)
    assert (plain.name, flipped.name) == ("a", "b")
    np.testing.assert_array_equal(palette.labels[plain.codes], _a_head())
    np.testing.assert_array_equal(flipped.codes, plain.codes)
    assert plain.centre == (5.5, 5.5, 5.5)


def test_a_label_map_without_deep_grey_matter_is_refused(folder):
    _write(folder / "a.nii.gz", np.full((8, 8, 8), 2))
    with pytest.raises(UnusableInput, match=r"a\.nii\.gz has no deep grey matter"):
        load_label_map(folder / "a.nii.gz", load_palette(folder))


def test_a_folder_without_label_maps_is_refused(folder):
    with pytest.raises(UnusableInput, match="no NIfTI"):
        load_label_maps(folder, load_palette(folder))


def test_the_displacement_points_to_the_ventricles_and_is_longest_at_their_walls():
    inside = np.zeros((60, 60, 60), bool)
    inside[24:37, 24:37, 24:37] = True
    field = ventricle_displacement(inside, (1.0, 1.0, 1.0))
    middle = round(30 / DISPLACEMENT_SPACING_MM)
    along = field[0, :, middle, middle]
    assert (along[:middle] >= 0).all()
    assert (along[middle + 1 :] <= 0).all()
    longest_mm = np.abs(along).argmax() * DISPLACEMENT_SPACING_MM
    assert abs(longest_mm - 30) == pytest.approx(6.5, abs=DISPLACEMENT_SPACING_MM)
    assert np.sqrt((field**2).sum(0)).max() == pytest.approx(1)
