import copy

import pytest
import torch

from lnc_dicom.biomarker.network import Architecture, BiomarkerNetwork, ready
from lnc_dicom.biomarker.train.augment import inner
from lnc_dicom.biomarker.train.batch_norm import settle
from tests.unit.lnc_dicom.biomarker.conftest import REGIONS, make_cohort


@pytest.fixture(scope="module")
def crops():
    torch.set_num_threads(1)
    return make_cohort(8, 5).crops


@pytest.fixture
def network():
    torch.manual_seed(2)
    network = BiomarkerNetwork(Architecture(REGIONS, 3))
    torch.nn.init.normal_(network.stems.weight, 0, 0.05)
    return ready(network)


@torch.no_grad()
def test_inference_says_afterwards_what_training_says_of_the_same_people(network, crops):
    trained = copy.deepcopy(network).train()
    trained.dropout.p = 0.0
    wanted = trained(inner(crops)).stems
    off = [float((network(inner(crops)).stems - wanted).norm() / wanted.norm())]
    settle(network, crops, "cpu", 8)
    off.append(float((network(inner(crops)).stems - wanted).norm() / wanted.norm()))
    assert off[0] > 0.5
    assert off[1] < 0.15  # variance over n - 1 people


@torch.no_grad()
def test_features_of_the_people_it_was_settled_on_have_no_mean_in_inference(network, crops):
    settle(network, crops, "cpu", 8)
    features = network.features(inner(crops))
    level = network.level(features.reshape(-1, len(REGIONS) * features.shape[-1]))
    assert float(level.mean(0).abs().max()) < 1e-3


def test_no_weight_changes_and_training_goes_on_as_before(network, crops):
    before = [p.clone() for p in network.parameters()]
    settle(network, crops, "cpu", 4)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert network.level.momentum == BiomarkerNetwork(Architecture(REGIONS, 3)).level.momentum
    assert network.dropout.p > 0
    assert not network.training


@torch.no_grad()
def test_distance_of_the_people_it_was_settled_on_is_about_one(network, crops):
    before = float(network(inner(crops)).distance.mean())
    settle(network, crops, "cpu", 8)
    after = float(network(inner(crops)).distance.mean())
    assert 0.5 < after < 1.1 < before or before < 0.5 < after < 1.1  # features that never speak count as 0
