from dataclasses import replace

import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.cohort import PrivilegedTargets
from lnc_dicom.biomarker.train.targets import Scales, Targets
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, REGIONS, make_cohort


@pytest.fixture(scope="module")
def cohort():
    return make_cohort(10, 6)


def test_left_and_right_share_the_scale_of_a_region(cohort):
    scales = Scales.of(cohort)
    putamen_cbf = cohort.measured[:, [1, 3], 1].ravel()
    assert scales.maps[1, 1] == pytest.approx((putamen_cbf.mean(), putamen_cbf.std(ddof=1)))
    assert scales.stems == pytest.approx((cohort.stems.mean(), cohort.stems.std()))


def test_values_that_were_not_measured_do_not_count_in_the_scale(cohort):
    measured = cohort.measured.copy()
    measured[3, 0, 0] = np.nan
    known = np.delete(measured[:, [0, 2], 0].ravel(), 6)
    assert Scales.of(replace(cohort, measured=measured)).maps[0, 0, 0] == pytest.approx(known.mean())


def test_targets_are_standardised_and_their_scale_undoes_it(cohort):
    scales = Scales.of(cohort)
    targets = Targets(cohort, scales, GROUPS)
    assert float(targets.maps[:, [0, 2], 0].mean()) == pytest.approx(0, abs=1e-6)
    both_sides = np.concatenate([scales.maps, scales.maps])
    np.testing.assert_allclose(
        targets.maps.numpy() * both_sides[..., 1] + both_sides[..., 0], cohort.measured, rtol=1e-4
    )
    np.testing.assert_allclose(targets.stems.numpy() * scales.stems[1] + scales.stems[0], cohort.stems, rtol=1e-5)


def test_without_privileged_targets_the_expected_values_are_the_observed_ones(cohort):
    targets = Targets(cohort, Scales.of(cohort), GROUPS)
    assert targets.privileged is None
    for expected in (targets.image_only, targets.with_covariates):
        assert torch.equal(expected.maps, targets.maps)
        assert torch.equal(expected.group_probabilities.argmax(1), targets.groups)


def test_expected_categories_are_in_the_order_of_the_model(cohort):
    n, s = 10, 2 * len(REGIONS)
    maps, stems = np.zeros((n, s, 2)), np.zeros((n, 2))
    image_only, with_covariates = np.tile([0.2, 0.3, 0.5], (n, 1)), np.tile([0.1, 0.2, 0.7], (n, 1))
    names = ("high", "low", "middle")
    known = PrivilegedTargets(np.zeros((n, s, 7)), maps, stems, image_only, maps, stems, with_covariates, names)
    targets = Targets(replace(cohort, privileged_targets=known), Scales.of(cohort), ("low", "middle", "high"))
    assert targets.image_only.group_probabilities[0].tolist() == pytest.approx([0.3, 0.5, 0.2])
    assert targets.with_covariates.group_probabilities[0].tolist() == pytest.approx([0.2, 0.7, 0.1])
    assert targets.privileged.shape == (n, s, 7)
