import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.calibration import BiomarkerCalibration
from lnc_dicom.biomarker.evaluation.network_outputs import network_outputs, retrained_per_fold
from lnc_dicom.biomarker.predictor import BiomarkerModel
from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule
from lnc_dicom.predictions import Model
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, make_cohort


@pytest.fixture(scope="module")
def model(trained):
    maps = tuple(tuple((float(m), float(s)) for m, s in region) for region in trained.scales.maps)
    stems = (float(trained.scales.stems[0]), float(trained.scales.stems[1]))
    calibration = BiomarkerCalibration(maps, (1.7, 1.6), stems, (0.0, 1.0), 0.8, 1.0, 1.3, 16)
    return BiomarkerModel(trained.network, calibration, calibration, GROUPS, Model("m", "1", "0"), demonstration=True)


def test_outputs_have_the_unit_of_the_maps(model):
    people = make_cohort(12, 21)
    outputs = network_outputs(model, people)
    assert outputs.features.shape == (12, 4, 512)
    assert np.corrcoef(outputs.maps[:, 0, 0], people.measured[:, 0, 0])[0, 1] > 0.7
    assert outputs.maps[..., 1].mean() == pytest.approx(50, abs=8)
    assert outputs.stems.mean() == pytest.approx(people.stems.mean(), abs=1.2)


def test_a_network_in_a_fold_is_never_trained_on_the_patients_it_predicts(cohort, monkeypatch):
    from lnc_dicom.biomarker.evaluation import network_outputs as module

    torch.set_num_threads(1)
    trained_on = []

    def watch(some, *_args):
        trained_on.append({p.name for p in some.patients})
        return _train(some, *_args)

    _train = module.train_network
    monkeypatch.setattr(module, "train_network", watch)
    small = cohort.subset(np.arange(24))
    source = retrained_per_fold(small, None, BiomarkerSchedule(1, 0, batch=8), lambda _: None)
    training, test = np.arange(18), np.arange(18, 24)
    outputs = source(training, test)
    assert outputs.features.shape == (24, 4, 512)
    assert len(trained_on) == 4
    tested = {small.patients[i].name for i in test}
    assert not any(tested & names for names in trained_on)
    trained = {small.patients[i].name for i in training}
    assert all(any(name not in names for names in trained_on[1:]) for name in trained)
    source(training, test)
    assert len(trained_on) == 4  # each fold is trained once
