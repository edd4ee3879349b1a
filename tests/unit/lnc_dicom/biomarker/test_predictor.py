import copy
from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
import torch

from lnc_dicom.anatomy import Side
from lnc_dicom.biomarker.calibration import BiomarkerCalibration
from lnc_dicom.biomarker.predictor import BiomarkerModel
from lnc_dicom.predictions import Demographics, Model
from tests.factories import BoxSegmenter, head
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS

SOMEBODY = Demographics(60.0, 1.0)
PLAIN = BiomarkerCalibration((((0.25, 0.03), (50.0, 9.0)),) * 2, (1.7, 1.6), (3.3, 1.0), (0.4, 0.9), 0.8, 1.4, 1.3, 80)


@pytest.fixture(scope="module")
def model(trained):
    return BiomarkerModel(trained.network, PLAIN, PLAIN, GROUPS, Model("m", "1", "0"), demonstration=True)


@pytest.fixture(scope="module")
def study():
    volume = hd.Volume(*head(), coordinate_system="PATIENT")
    return volume, BoxSegmenter()(volume).labels


def test_every_region_hemisphere_and_category_has_a_prediction(model, study):
    found = model(*study, SOMEBODY)
    assert [p.structure.title for p in found.regions] == [
        *("Caudate, left", "Putamen, left", "Caudate, right", "Putamen, right")
    ]
    assert [p.side for p in found.stems] == [Side.LEFT, Side.RIGHT]
    assert tuple(found.disease) == GROUPS
    assert sum(found.disease.values()) == pytest.approx(1)
    assert all(f.shape == (512,) for f in found.features.values())


def test_age_and_sex_change_the_predictions_only_if_both_are_known(trained, study):
    network = copy.deepcopy(trained.network)
    torch.nn.init.constant_(network.residual_effect.weight, 0.5)
    wide = replace(PLAIN, widths=(2.5, 2.4))
    model = BiomarkerModel(network, PLAIN, wide, GROUPS, Model("m", "1", "0"), demonstration=True)
    people = (
        Demographics(60.0, 1.0),
        Demographics(70.0, 1.0),
        Demographics(60.0),
        Demographics(),
        Demographics(male=1.0),
    )
    sixty, seventy, *without_covariates = (model(*study, person) for person in people)
    assert (sixty.age_and_sex_known, seventy.age_and_sex_known) == (True, True)
    assert seventy.regions[0].cbf.value - sixty.regions[0].cbf.value == pytest.approx(0.5 * 9 * 10 / 12, rel=1e-3)
    assert not any(found.age_and_sex_known for found in without_covariates)
    assert without_covariates[0].regions == without_covariates[1].regions == without_covariates[2].regions
    assert _half(without_covariates[0]) / _half(sixty) == pytest.approx(2.4 / 1.6, rel=1e-4)


def _half(found):
    cbf = found.regions[0].cbf
    return cbf.high - cbf.value


def test_every_prediction_lies_within_its_interval(model, study):
    found = model(*study, SOMEBODY)
    for p in (*(r.fa for r in found.regions), *(r.cbf for r in found.regions), *(r.expected for r in found.stems)):
        assert p.low <= p.value <= p.high


def test_the_same_study_gives_the_same_predictions(model, study):
    one, other = model(*study, SOMEBODY), model(*study, SOMEBODY)
    assert one.regions == other.regions
    assert one.disease == other.disease


def test_a_missing_region_leaves_its_hemisphere_without_stems_and_the_patient_without_category(model, study):
    volume, labels = study
    without = labels.with_array(np.where(labels.array == 1, 0, labels.array).astype(np.uint8))
    found = model(volume, without, SOMEBODY)
    assert len(found.regions) == 3
    assert [p.side for p in found.stems] == [Side.RIGHT]
    assert found.disease == {}
