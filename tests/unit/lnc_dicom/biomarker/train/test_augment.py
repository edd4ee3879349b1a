import numpy as np
import pytest
import torch
from scipy import ndimage

from lnc_dicom.biomarker.crops import SHAPE, without_margin
from lnc_dicom.biomarker.train.augment import augment
from tests.unit.lnc_dicom.biomarker.conftest import make_cohort


@pytest.fixture(scope="module")
def crops():
    return make_cohort(4, 8).crops


def _rng(seed):
    return torch.Generator().manual_seed(seed)


def test_augmented_crops_have_no_margin_and_follow_from_the_seed(crops):
    one, same, other = (augment(crops, _rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (*crops.shape[:3], *SHAPE)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_volumes_do_not_change(crops):
    before, after = without_margin(crops)[:, :, 1], augment(crops, _rng(3))[:, :, 1]
    np.testing.assert_allclose(after.sum((2, 3, 4)), before.sum((2, 3, 4)), rtol=0.02)


def test_crops_are_shifted_independently_by_a_few_voxels(crops):
    masks = augment(crops, _rng(4))[:, :, 1].flatten(0, 1).numpy()
    middle = (np.array(SHAPE) - 1) / 2
    shifts = np.array([ndimage.center_of_mass(m) for m in masks]) - middle
    assert 0.5 < shifts.std() < 2.5
    assert np.abs(shifts).max() < 6
    assert len({tuple(s.round(3)) for s in shifts}) == len(shifts)


def test_the_intensity_of_the_region_changes_by_less_than_people_differ(crops):
    inside = without_margin(crops)[:, :, 1] > 0.99
    before = without_margin(crops)[:, :, 0][inside].mean()
    after = augment(crops, _rng(5))
    assert float(after[:, :, 0][after[:, :, 1] > 0.99].mean()) == pytest.approx(float(before), abs=0.2)


def test_missing_regions_become_zero(crops):
    missing = crops.clone()
    missing[0, 1] = float("nan")
    augmented = augment(missing, _rng(6))
    assert torch.isfinite(augmented).all()
    assert not augmented[0, 1, 1].any()
