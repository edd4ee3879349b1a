from dataclasses import replace

import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.network import FEATURES, Architecture, BiomarkerNetwork, ready
from lnc_dicom.biomarker.train.covariates import FEWEST, learn_age_and_sex
from lnc_dicom.biomarker.train.targets import Scales, Targets
from lnc_dicom.cohort_table import Patient
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, REGIONS, make_cohort

COUNT, PLACES = 400, 2 * len(REGIONS)
HIDDEN, SLOPE = 9.0, -0.06
"""Years of age that the image does not show; FA (SD) per such year, of the first region."""


def _people(slope=SLOPE, unknown=()):
    """Features that show the age up to a rest; FA of the first region follows the rest."""
    chance = np.random.default_rng(5)
    features = 0.02 * chance.normal(size=(COUNT, PLACES, FEATURES))
    features[:, :, 0] *= 50
    shown = 6 * features[:, :, 0].sum(axis=1)
    rest = HIDDEN * chance.normal(size=COUNT)
    man = chance.integers(2, size=COUNT)
    maps = chance.normal(size=(COUNT, PLACES, 2))
    maps[:, ::2, 0] = 0.5 * chance.normal(size=(COUNT, 2)) + slope * rest[:, None]
    patients = tuple(
        Patient(f"p{i}", GROUPS[i % 3], (3, 4 + i % 2), float("nan") if i in unknown else 57 + a, "FM"[m], "A")
        for i, (a, m) in enumerate(zip(shown + rest, man, strict=True))
    )
    cohort = replace(make_cohort(1, 1), patients=patients, measured=0.25 + 0.03 * maps, crops=torch.zeros(COUNT, 1))
    scales = Scales(np.full((len(REGIONS), 2, 2), (0.25, 0.03)), np.array([3.5, 1.0]))
    return torch.from_numpy(features).float(), Targets(cohort, scales, GROUPS), shown, rest


def _learn(features, targets):
    network = ready(BiomarkerNetwork(Architecture(REGIONS, 3)))
    learn_age_and_sex(network, _say(network, features), targets)
    return network


@torch.inference_mode()
def _say(network, features, person=None):
    return network.heads(features, person=person)


@pytest.fixture(scope="module")
def learned():
    features, targets, shown, rest = _people()
    return _learn(features, targets), features, targets, shown, rest


def test_the_image_is_asked_first_how_old_the_person_is(learned):
    network, features, _, shown, _ = learned
    guess = 57 + 12 * _say(network, features).person[:, 0].numpy()
    assert np.corrcoef(guess, shown)[0, 1] > 0.9


def test_only_what_the_image_does_not_show_moves_the_answer(learned):
    network, *_ = learned
    weight = network.residual_effect.weight.detach().numpy()
    assert weight[0, 0] == pytest.approx(12 * SLOPE, rel=0.25)
    assert np.abs(weight[1:4]).max() < 0.15


def test_told_people_are_predicted_better_and_untold_ones_as_before(learned):
    network, features, targets, *_ = learned
    blind, with_covariates = _say(network, features), _say(network, features, targets.person)
    assert not blind.maps.any()
    errors = [float((o.maps - targets.maps)[:, ::2, 0].square().mean()) for o in (blind, with_covariates)]
    assert errors[1] < 0.75 * errors[0]


def test_where_age_tells_nothing_the_answers_stay():
    features, targets, *_ = _people(slope=0.0)
    assert np.abs(_learn(features, targets).residual.weight.detach().numpy()).max() < 0.15


def test_what_was_known_before_is_gone_on_from(learned):
    network, *_ = learned
    before = network.residual_effect.weight.clone()
    features, targets, *_ = _people(unknown=range(FEWEST, COUNT))
    learn_age_and_sex(network, _say(network, features), targets)
    assert network.residual_effect.weight[0, 0].item() == pytest.approx(before[0, 0].item(), rel=0.5)


def test_people_of_unknown_age_teach_nothing():
    features, targets, *_ = _people(unknown=range(COUNT - FEWEST + 1))
    network = _learn(features, targets)
    assert not network.person.weight.any()
    assert not network.residual_effect.weight.any()
