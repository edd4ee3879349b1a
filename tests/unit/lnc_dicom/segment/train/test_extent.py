import numpy as np
import pytest

from lnc_dicom.segment.train.extent import to_expert_extent

SPACING_MM = (1.0, 1.0, 1.0)


def _ball(centre, radius, shape=(60, 60, 60)):
    index = np.indices(shape).reshape(3, *shape)
    return ((index - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(0) < radius**2


def _head():
    labels = np.full((60, 60, 60), 2, np.int64)
    parts = {11: (15, 15, 40), 12: (42, 30, 40), 13: (42, 30, 15), 10: (15, 42, 18), 4: (30, 10, 10)}
    for number, centre in parts.items():
        labels[_ball(centre, 11 if number == 10 else 9)] = number
    image = np.where(labels == 4, 10.0, np.where(labels == 2, 110.0, 80.0)).astype(np.float32)
    return labels, image


def test_pallidum_and_thalamus_shrink_in_place_and_the_striatum_keeps_its_volume():
    labels, image = _head()
    after = to_expert_extent(labels, image, SPACING_MM)
    for number, share in ((13, 0.70), (10, 0.86), (11, 1.0), (12, 1.0)):
        before, found = labels == number, after == number
        assert found.sum() == pytest.approx(share * before.sum(), rel=0.05)
        offset = np.argwhere(found).mean(0) - np.argwhere(before).mean(0)
        assert np.abs(offset).max() < 0.3
    assert (after == 4).sum() == (labels == 4).sum()


def test_a_nucleus_that_is_small_relative_to_the_striatum_keeps_its_volume():
    labels, image = _head()
    labels[_ball((42, 30, 15), 9)] = 2
    labels[_ball((42, 30, 15), 5)] = 13
    image = np.where(labels == 4, 10.0, np.where(labels == 2, 110.0, 80.0)).astype(np.float32)
    after = to_expert_extent(labels, image, SPACING_MM)
    assert (after == 13).sum() == pytest.approx((labels == 13).sum(), rel=0.1)


def test_fluid_at_the_rim_of_a_nucleus_is_removed():
    labels, image = _head()
    rim = _ball((42, 30, 40), 9) & (np.indices(labels.shape)[0] > 48)
    image[rim] = 10.0
    after = to_expert_extent(labels, image, SPACING_MM)
    assert (after[rim] == 12).mean() < 0.2
