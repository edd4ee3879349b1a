import copy

import pytest
import torch

from lnc_dicom.biomarker.crops import without_margin
from lnc_dicom.biomarker.network import BiomarkerArchitecture, BiomarkerNetwork, ready
from lnc_dicom.biomarker.train.batch_norm import update_batch_norm
from tests.unit.lnc_dicom.biomarker.conftest import REGIONS, make_cohort


@pytest.fixture(scope="module")
def crops():
    torch.set_num_threads(1)
    return make_cohort(8, 5).crops


@pytest.fixture
def network():
    torch.manual_seed(2)
    network = BiomarkerNetwork(BiomarkerArchitecture(REGIONS, 3))
    torch.nn.init.normal_(network.stems.weight, 0, 0.05)
    return ready(network)


@torch.no_grad()
def test_inference_then_predicts_what_training_mode_predicts_for_the_same_patients(network, crops):
    trained = copy.deepcopy(network).train()
    trained.dropout.p = 0.0
    wanted = trained(without_margin(crops)).stems
    off = [float((network(without_margin(crops)).stems - wanted).norm() / wanted.norm())]
    update_batch_norm(network, crops, "cpu", 8)
    off.append(float((network(without_margin(crops)).stems - wanted).norm() / wanted.norm()))
    assert off[0] > 0.5
    assert off[1] < 0.15  # variance over n - 1 people


@torch.no_grad()
def test_normalised_features_of_these_patients_have_mean_zero_in_inference(network, crops):
    update_batch_norm(network, crops, "cpu", 8)
    features = network.features(without_margin(crops))
    level = network.level(features.reshape(-1, len(REGIONS) * features.shape[-1]))
    assert float(level.mean(0).abs().max()) < 1e-3


def test_no_weight_changes_and_training_continues_as_before(network, crops):
    before = [p.clone() for p in network.parameters()]
    update_batch_norm(network, crops, "cpu", 4)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert network.level.momentum == BiomarkerNetwork(BiomarkerArchitecture(REGIONS, 3)).level.momentum
    assert network.dropout.p > 0
    assert not network.training


@torch.no_grad()
def test_the_distance_of_these_patients_is_about_one(network, crops):
    before = float(network(without_margin(crops)).distance.mean())
    update_batch_norm(network, crops, "cpu", 8)
    after = float(network(without_margin(crops)).distance.mean())
    assert 0.5 < after < 1.1 < before or before < 0.5 < after < 1.1  # features that never speak count as 0
