from dataclasses import replace

import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.network import FEATURES, BiomarkerArchitecture, BiomarkerNetwork, ready
from lnc_dicom.biomarker.train.covariates import FEWEST, fit_covariate_heads
from lnc_dicom.biomarker.train.targets import Scales, Targets
from lnc_dicom.cohort_table import Patient
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, REGIONS, make_cohort

COUNT, PLACES = 400, 2 * len(REGIONS)
HIDDEN, SLOPE = 9.0, -0.06
"""SD of the age that the image does not show, in years; slope of FA (in SD) of the first region per such year."""


def _people(slope=SLOPE, unknown=()):
    """Features that show age up to a residual; FA of the first region follows the residual."""
    rng = np.random.default_rng(5)
    features = 0.02 * rng.normal(size=(COUNT, PLACES, FEATURES))
    features[:, :, 0] *= 50
    shown = 6 * features[:, :, 0].sum(axis=1)
    rest = HIDDEN * rng.normal(size=COUNT)
    man = rng.integers(2, size=COUNT)
    maps = rng.normal(size=(COUNT, PLACES, 2))
    maps[:, ::2, 0] = 0.5 * rng.normal(size=(COUNT, 2)) + slope * rest[:, None]
    patients = tuple(
        Patient(f"p{i}", GROUPS[i % 3], (3, 4 + i % 2), float("nan") if i in unknown else 57 + a, "FM"[m], "A")
        for i, (a, m) in enumerate(zip(shown + rest, man, strict=True))
    )
    cohort = replace(make_cohort(1, 1), patients=patients, measured=0.25 + 0.03 * maps, crops=torch.zeros(COUNT, 1))
    scales = Scales(np.full((len(REGIONS), 2, 2), (0.25, 0.03)), np.array([3.5, 1.0]))
    return torch.from_numpy(features).float(), Targets(cohort, scales, GROUPS), shown, rest


def _fit(features, targets):
    network = ready(BiomarkerNetwork(BiomarkerArchitecture(REGIONS, 3)))
    fit_covariate_heads(network, _predict(network, features), targets)
    return network


@torch.inference_mode()
def _predict(network, features, demographics=None):
    return network.heads(features, demographics=demographics)


@pytest.fixture(scope="module")
def fitted():
    features, targets, shown, rest = _people()
    return _fit(features, targets), features, targets, shown, rest


def test_age_is_estimated_from_the_image(fitted):
    network, features, _, shown, _ = fitted
    guess = 57 + 12 * _predict(network, features).demographics[:, 0].numpy()
    assert np.corrcoef(guess, shown)[0, 1] > 0.9


def test_the_effect_of_the_residual_is_the_simulated_slope(fitted):
    network, *_ = fitted
    weight = network.residual_effect.weight.detach().numpy()
    assert weight[0, 0] == pytest.approx(12 * SLOPE, rel=0.25)
    assert np.abs(weight[1:4]).max() < 0.15


def test_known_age_improves_predictions_and_unknown_age_leaves_them_unchanged(fitted):
    network, features, targets, *_ = fitted
    image_only, with_covariates = _predict(network, features), _predict(network, features, targets.demographics)
    assert not image_only.maps.any()
    errors = [float((o.maps - targets.maps)[:, ::2, 0].square().mean()) for o in (image_only, with_covariates)]
    assert errors[1] < 0.75 * errors[0]


def test_without_an_effect_of_age_the_predictions_do_not_change():
    features, targets, *_ = _people(slope=0.0)
    assert np.abs(_fit(features, targets).residual_effect.weight.detach().numpy()).max() < 0.15


def test_a_second_fit_to_few_patients_stays_near_the_first(fitted):
    network, *_ = fitted
    before = network.residual_effect.weight.clone()
    features, targets, *_ = _people(unknown=range(FEWEST, COUNT))
    fit_covariate_heads(network, _predict(network, features), targets)
    assert network.residual_effect.weight[0, 0].item() == pytest.approx(before[0, 0].item(), rel=0.5)


def test_patients_of_unknown_age_are_not_used():
    features, targets, *_ = _people(unknown=range(COUNT - FEWEST + 1))
    network = _fit(features, targets)
    assert not network.demographics.weight.any()
    assert not network.residual_effect.weight.any()
