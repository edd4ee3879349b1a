from dataclasses import replace

import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.cohort import PrivilegedTargets
from lnc_dicom.biomarker.network import BiomarkerArchitecture, BiomarkerNetwork
from lnc_dicom.biomarker.train.targets import Scales
from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule, predict, train_network
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, REGIONS, make_cohort

SHORT = BiomarkerSchedule(pretraining=1, finetuning=1, batch=8)


def test_the_network_learns_what_the_crops_show(trained):
    last = trained.curve[-1]
    assert last.fa > 0.5
    assert last.cbf > 0.3
    assert last.accuracy > 0.5  # of three categories


def test_pre_training_does_not_change_the_heads_of_the_tasks(cohort):
    run = train_network(cohort, cohort, GROUPS, replace(SHORT, finetuning=0), lambda _: None)
    assert not run.network.stems.weight.any()
    assert not run.network.groups.weight.any()
    assert run.network.maps.weight.any()


def test_values_that_were_not_measured_have_no_gradient(cohort):
    unmeasured = replace_measured(cohort, np.full_like(cohort.measured, np.nan))
    run = train_network(unmeasured, unmeasured, GROUPS, replace(SHORT, finetuning=0), lambda _: None)
    assert not run.network.maps.weight.any()
    assert all(torch.isfinite(p).all() for p in run.network.parameters())


def replace_measured(cohort, measured):
    return type(cohort)(cohort.regions, cohort.patients, cohort.crops, measured, cohort.volumes)


def test_a_stopped_training_resumes_where_it_stopped(cohort, tmp_path):
    small = cohort.subset(np.arange(16))
    schedule = replace(SHORT, pretraining=2, finetuning=2)
    straight = train_network(small, small, GROUPS, schedule, lambda _: None)

    class Stop(Exception):
        pass

    def stop_after_three(epoch):
        if (epoch.phase, epoch.number) == ("fine-tuning", 1):
            raise Stop

    with pytest.raises(Stop):
        train_network(small, small, GROUPS, schedule, stop_after_three, None, tmp_path / "c.pt")
    resumed = train_network(small, small, GROUPS, schedule, lambda _: None, None, tmp_path / "c.pt")
    assert [e.phase for e in resumed.curve] == [e.phase for e in straight.curve]
    assert resumed.curve[-1].loss == pytest.approx(straight.curve[-1].loss, rel=1e-3)


def test_scales_are_those_of_the_training_patients(cohort):
    scales = Scales.of(cohort)
    assert scales.maps.shape == (len(REGIONS), 2, 2)
    np.testing.assert_allclose(scales.maps[0, 0, 0], cohort.measured[:, ::2, 0].mean())


def test_a_prediction_does_not_depend_on_the_rest_of_the_batch(trained):
    some = make_cohort(5, 3)
    alone = predict(trained.network, some.crops[2:3])
    together = predict(trained.network, some.crops)
    torch.testing.assert_close(alone.maps[0], together.maps[2], atol=1e-4, rtol=1e-4)


def test_an_untrained_network_predicts_the_mean():
    outputs = predict(BiomarkerNetwork(BiomarkerArchitecture(REGIONS, 3)), make_cohort(2, 4).crops)
    assert not outputs.maps.any()
    assert not outputs.groups.any()


def test_privileged_targets_train_all_heads_from_the_first_epoch(cohort):
    count, places = cohort.measured.shape[:2]
    bright = (cohort.measured[:, :, :1] - 0.25) / 0.03
    expected = (cohort.measured, np.full((count, 2), 4.0), np.full((count, 3), 1 / 3))
    privileged_targets = PrivilegedTargets(np.repeat(bright, 7, axis=2), *expected, *expected, GROUPS)
    simulated = replace(cohort, privileged_targets=privileged_targets)
    run = train_network(
        simulated, simulated, GROUPS, replace(SHORT, pretraining=3, finetuning=0, rate=3e-3), lambda _: None
    )
    assert places == 2 * len(REGIONS)
    assert run.network.privileged.weight.any()
    assert run.network.groups.weight.any()
    assert run.curve[-1].loss < run.curve[0].loss - 0.5
    assert np.isfinite(run.curve[-1].privileged)
