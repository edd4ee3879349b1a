import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.calibration import Calibration
from lnc_dicom.biomarker.evaluation.network_outputs import VIEWS, seen_by, trained_in_fold, views_by
from lnc_dicom.biomarker.predictor import BiomarkerModel
from lnc_dicom.biomarker.train.trainer import Schedule
from lnc_dicom.predictions import Model
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, make_cohort


@pytest.fixture(scope="module")
def model(trained):
    maps = tuple(tuple((float(m), float(s)) for m, s in region) for region in trained.scales.maps)
    stems = (float(trained.scales.stems[0]), float(trained.scales.stems[1]))
    calibration = Calibration(maps, (1.7, 1.6), stems, (0.0, 1.0), 0.8, 1.0, 1.3, 16)
    return BiomarkerModel(trained.network, calibration, calibration, GROUPS, Model("m", "1", "0"), demonstration=True)


def test_what_a_network_says_has_the_unit_of_the_maps(model):
    people = make_cohort(12, 21)
    seen = seen_by(model, people)
    assert seen.features.shape == (12, 4, 512)
    assert np.corrcoef(seen.maps[:, 0, 0], people.measured[:, 0, 0])[0, 1] > 0.7
    assert seen.maps[..., 1].mean() == pytest.approx(50, abs=8)
    assert seen.stems.mean() == pytest.approx(people.stems.mean(), abs=1.2)


def test_views_of_a_patient_are_near_and_not_the_same(model):
    views = views_by(model, make_cohort(6, 22))
    assert len(views) == VIEWS
    assert not np.array_equal(views[0].features, views[1].features)
    own, others = (
        np.linalg.norm(views[0].features[:, 0] - views[1].features[order, 0], axis=1).mean()
        for order in (np.arange(6), np.roll(np.arange(6), 1))
    )
    assert own < others


def test_a_network_in_a_fold_never_learns_from_those_it_is_asked_about(cohort, monkeypatch):
    from lnc_dicom.biomarker.evaluation import network_outputs

    torch.set_num_threads(1)
    learned = []

    def watch(some, *_args):
        learned.append({p.name for p in some.patients})
        return _train(some, *_args)

    _train = network_outputs.train_network
    monkeypatch.setattr(network_outputs, "train_network", watch)
    small = cohort.chosen(np.arange(24))
    source = trained_in_fold(small, None, Schedule(1, 0, batch=8), lambda _: None)
    training, test = np.arange(18), np.arange(18, 24)
    seen = source(training, test)
    assert seen.features.shape == (24, 4, 512)
    assert len(learned) == 4
    tested = {small.patients[i].name for i in test}
    assert not any(tested & names for names in learned)
    trained = {small.patients[i].name for i in training}
    assert all(any(name not in names for names in learned[1:]) for name in trained)
    source(training, test)
    assert len(learned) == 4  # a fold is trained once
