import numpy as np
import pytest

from lnc_dicom.biomarker.network import PRIVILEGED as HEADS
from lnc_dicom.biomarker.train.privileged import PRIVILEGED, privileged_targets_of
from lnc_dicom.simulate import oracle
from lnc_dicom.simulate.subjects import CohortDesign, draw_people

COUNT = 400


@pytest.fixture(scope="module")
def people():
    return draw_people(COUNT, CohortDesign(), 11)


@pytest.fixture(scope="module")
def privileged_targets(people):
    volumes_ml = people.volume[:, :2].transpose(0, 2, 1).reshape(COUNT, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "PEOPLE", 5000)
        return privileged_targets_of(people, ("caudate", "putamen"), volumes_ml, CohortDesign(), 11)


def test_privileged_targets_are_the_properties_drawn_into_the_image(people, privileged_targets):
    assert privileged_targets.privileged.shape == (COUNT, 4, len(PRIVILEGED)) == (COUNT, 4, HEADS)
    left_putamen, right_caudate = privileged_targets.privileged[:, 1], privileged_targets.privileged[:, 2]
    drawn = {0: np.log(people.volume[:, 1, 0]), 1: people.t1[:, 1, 0], 3: np.sqrt(people.spaces[:, 0])}
    for column, true in drawn.items():
        assert np.corrcoef(left_putamen[:, column], true)[0, 1] == pytest.approx(1)
    assert np.corrcoef(right_caudate[:, 6], people.caps_mm[:, 1])[0, 1] == pytest.approx(1)


def test_expected_values_are_better_than_the_mean_and_are_not_the_truth(people, privileged_targets):
    true = people.fa[:, 1, 0]
    error = np.mean((privileged_targets.maps[:, 1, 0] - true) ** 2)
    assert 0.5 * true.var() < error < 0.9 * true.var()
    assert np.mean((privileged_targets.stems - people.stems_read) ** 2) < 0.7 * people.stems_read.var()
    np.testing.assert_allclose(privileged_targets.groups.sum(axis=1), 1)


def test_age_and_sex_improve_the_expected_flow(people, privileged_targets):
    true = people.cbf[:, 1, 0]
    image_only, with_covariates = (
        np.mean((maps[:, 1, 1] - true) ** 2)
        for maps in (privileged_targets.maps, privileged_targets.maps_with_covariates)
    )
    assert with_covariates < 0.97 * image_only
    np.testing.assert_allclose(privileged_targets.groups_with_covariates.sum(axis=1), 1)


def test_a_subset_keeps_the_targets_of_its_patients(privileged_targets):
    some = privileged_targets.subset(np.array([7, 3]))
    assert np.array_equal(some.privileged[1], privileged_targets.privileged[3])
    assert np.array_equal(some.stems[0], privileged_targets.stems[7])
