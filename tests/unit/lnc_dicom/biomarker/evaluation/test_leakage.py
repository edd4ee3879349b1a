import re

import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.design import DEEP, Method, TaskKind
from lnc_dicom.biomarker.evaluation.leakage import alarms, split_patients
from lnc_dicom.biomarker.evaluation.scoring import TargetScores


def _map(name, model, mean=0.2):
    scores = {d: {"rmse_over_mean": Estimate(model)} for d in DEEP} | {Method.MEAN: {"rmse_over_mean": Estimate(mean)}}
    return TargetScores(TaskKind.MAP, name, "putamen", 158, scores, {}, {})


def _task(kind, accuracy):
    return TargetScores(kind, "", "", 79, {d: {"accuracy": Estimate(accuracy)} for d in DEEP}, {}, {})


@pytest.mark.parametrize(("kind", "words"), [(TaskKind.STEMS, r"Task 1 \(LSA stems\)"), (TaskKind.DISEASE, "Task 2")])
def test_accuracy_above_95_percent_raises_an_alarm(kind, words):
    found = alarms([_task(kind, 0.96)], [])
    assert len(found) == 2
    assert re.search(f"Leakage alarm: {words}.* 96.0 % accurate", found[0])
    assert not alarms([_task(kind, 0.95)], [])


@pytest.mark.parametrize(("name", "limit"), [("FA", 0.02), ("CBF", 0.14)])
def test_errors_below_repeatability_raise_an_alarm(name, limit):
    assert "below the published repeatability" in alarms([_map(name, limit - 0.001)], [])[0]
    assert not alarms([_map(name, limit)], [])


def test_there_is_no_alarm_where_the_mean_predictor_is_as_precise():
    assert not alarms([_map("CBF", 0.10, mean=0.11)], [])


def test_the_numbers_of_the_paper_would_raise_alarms():
    found = alarms(
        [_map("FA", 0.00154), _map("CBF", 0.00213), _task(TaskKind.STEMS, 1.0), _task(TaskKind.DISEASE, 1.0)], []
    )
    assert len(found) == 8


def test_there_is_no_alarm_without_leakage(effect, null, confounded):
    assert effect.alarms == null.alarms == confounded.alarms == ()


def test_a_patient_in_two_folds_raises_an_alarm_whatever_the_scores():
    subject = np.array([0, 0, 1, 1, 2, 2])
    assert "samples of 1 patients are in more than one fold" in split_patients(subject, np.array([0, 0, 1, 2, 2, 2]))[0]
    assert split_patients(subject, np.array([0, 0, 1, 1, 1, 1])) == ()


def test_the_folds_of_a_leaking_evaluation_raise_an_alarm(leaking):
    assert "are in more than one fold" in leaking.alarms[0]


def test_sides_in_different_folds_raise_the_alarm_of_the_permutation_test(leaking):
    assert any("labels shuffled between patients" in text for text in leaking.alarms)
