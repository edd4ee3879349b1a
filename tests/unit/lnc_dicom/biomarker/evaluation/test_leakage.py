import re

import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.design import DEEP, Design, Kind
from lnc_dicom.biomarker.evaluation.leakage import alarms, split_patients
from lnc_dicom.biomarker.evaluation.scoring import Target


def _map(name, model, mean=0.2):
    scores = {d: {"rmse_over_mean": Estimate(model)} for d in DEEP} | {Design.MEAN: {"rmse_over_mean": Estimate(mean)}}
    return Target(Kind.MAP, name, "putamen", 158, scores, {}, {})


def _task(kind, accuracy):
    return Target(kind, "", "", 79, {d: {"accuracy": Estimate(accuracy)} for d in DEEP}, {}, {})


@pytest.mark.parametrize(("kind", "words"), [(Kind.STEMS, r"Task 1 \(LSA stems\)"), (Kind.DISEASE, "Task 2")])
def test_accuracy_above_95_percent_sets_it_off(kind, words):
    found = alarms([_task(kind, 0.96)], [])
    assert len(found) == 2
    assert re.search(f"Leakage alarm: {words}.* 96.0 % accurate", found[0])
    assert not alarms([_task(kind, 0.95)], [])


@pytest.mark.parametrize(("name", "limit"), [("FA", 0.02), ("CBF", 0.14)])
def test_errors_below_repeatability_set_it_off(name, limit):
    assert "below the published repeatability" in alarms([_map(name, limit - 0.001)], [])[0]
    assert not alarms([_map(name, limit)], [])


def test_it_is_silent_where_there_is_nothing_to_predict():
    assert not alarms([_map("CBF", 0.10, mean=0.11)], [])


def test_the_papers_figures_would_set_it_off():
    found = alarms([_map("FA", 0.00154), _map("CBF", 0.00213), _task(Kind.STEMS, 1.0), _task(Kind.DISEASE, 1.0)], [])
    assert len(found) == 8


def test_it_is_silent_on_honest_data(effect, null, confounded):
    assert effect.alarms == null.alarms == confounded.alarms == ()


def test_a_patient_in_two_folds_sets_it_off_whatever_the_scores():
    subject = np.array([0, 0, 1, 1, 2, 2])
    assert "rows of 1 patients lie in more than one fold" in split_patients(subject, np.array([0, 0, 1, 2, 2, 2]))[0]
    assert split_patients(subject, np.array([0, 0, 1, 1, 1, 1])) == ()


def test_it_sees_the_folds_of_a_leaking_evaluation(leaking):
    assert "lie in more than one fold" in leaking.alarms[0]


def test_it_hears_sides_in_different_folds(leaking):
    assert any("labels shuffled between patients" in text for text in leaking.alarms)
