import highdicom as hd
import numpy as np
import pytest
import torch

from lnc_dicom.anatomy import MIRRORED_LABELS
from lnc_dicom.biomarker.crops import (
    ALL_REGIONS,
    DEFAULT_REGIONS,
    SHAPE,
    SPACING_MM,
    cut_crops,
    grid_of,
    structures_of,
    volumetry_ml,
    white_level,
)
from tests.factories import LAYOUTS, BoxSegmenter, head, layout


def _volume(array, lps_mm):
    return hd.Volume(array, lps_mm, coordinate_system="PATIENT")


@pytest.fixture(scope="module")
def plain():
    volume = _volume(*head())
    return volume, BoxSegmenter()(volume).labels


def test_there_is_a_crop_per_region_and_side_left_first(plain):
    crops = cut_crops(*plain, DEFAULT_REGIONS)
    assert crops.shape == (6, 2, *SHAPE)
    assert [s.title for s in structures_of(DEFAULT_REGIONS)][2:4] == ["Pallidum, left", "Caudate, right"]


def test_the_mask_of_a_crop_has_the_volume_of_its_region(plain):
    crops = cut_crops(*plain, ALL_REGIONS)
    found_ml = crops[:, 1].sum(dim=(1, 2, 3)).numpy() * SPACING_MM**3 / 1000
    np.testing.assert_allclose(found_ml, volumetry_ml(plain[1], ALL_REGIONS)[:-2], rtol=0.1)


def test_the_region_is_in_the_centre_of_its_crop(plain):
    for mask in cut_crops(*plain, DEFAULT_REGIONS)[:, 1].numpy():
        middle = np.array([np.average(np.arange(n), weights=mask.sum(axis=tuple({0, 1, 2} - {a}))) for a, n in
                           enumerate(mask.shape)])  # fmt: skip
        np.testing.assert_allclose(middle, (np.array(SHAPE) - 1) / 2, atol=0.5)


@pytest.mark.parametrize(("order", "signs"), LAYOUTS[::7])
def test_crops_do_not_depend_on_the_orientation_of_the_axes(plain, order, signs):
    volume, labels = plain
    turned = _volume(*layout(volume.array, volume.affine, order, signs))
    turned_labels = _volume(*layout(labels.array, labels.affine, order, signs))
    np.testing.assert_allclose(
        cut_crops(turned, turned_labels, DEFAULT_REGIONS), cut_crops(volume, labels, DEFAULT_REGIONS), atol=2e-3
    )


def test_a_mirrored_head_has_the_same_crops_with_sides_exchanged(plain):
    volume, labels = plain
    mirror = np.diag([-1.0, 1, 1, 1])
    flipped = _volume(volume.array, mirror @ volume.affine)
    exchanged = _volume(np.array(MIRRORED_LABELS, np.uint8)[labels.array], mirror @ labels.affine)
    crops, others = cut_crops(volume, labels, DEFAULT_REGIONS), cut_crops(flipped, exchanged, DEFAULT_REGIONS)
    np.testing.assert_allclose(others, torch.cat([crops[3:], crops[:3]]), atol=2e-3)


def test_crops_do_not_depend_on_the_scale_of_the_scanner(plain):
    volume, labels = plain
    brighter = volume.with_array(volume.array * 37)
    np.testing.assert_allclose(
        cut_crops(brighter, labels, DEFAULT_REGIONS), cut_crops(volume, labels, DEFAULT_REGIONS), atol=1e-4
    )


def test_a_region_that_was_not_found_has_no_crop(plain):
    volume, labels = plain
    without = labels.with_array(np.where(labels.array == 3, 0, labels.array).astype(np.uint8))
    crops = cut_crops(volume, without, DEFAULT_REGIONS)
    assert torch.isnan(crops[1]).all()
    assert not torch.isnan(crops[[0, 2, 3, 4, 5]]).any()


def test_without_white_matter_there_is_no_crop(plain):
    volume, labels = plain
    without = labels.with_array(np.where(labels.array >= 13, 0, labels.array).astype(np.uint8))
    assert np.isnan(white_level(volume, without))
    assert torch.isnan(cut_crops(volume, without, DEFAULT_REGIONS)).all()


def test_the_affine_of_a_crop_maps_its_mask_onto_the_structure(plain):
    volume, labels = plain
    crops = cut_crops(volume, labels, DEFAULT_REGIONS)
    for i, structure in enumerate(structures_of(DEFAULT_REGIONS)):
        index = np.argwhere(crops[i, 1].numpy() > 0.99)
        points = grid_of(labels, structure) @ np.c_[index, np.ones(len(index))].T
        at = np.rint(labels.inverse_affine @ points)[:3].astype(int)
        assert (labels.array[tuple(at)] == structure.label).mean() > 0.98
