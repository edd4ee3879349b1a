import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation.bootstrap import Bootstrap, clopper_pearson
from lnc_dicom.biomarker.evaluation.cross_validation import OutOfFoldPredictions, TaskResult
from lnc_dicom.biomarker.evaluation.design import FITTED, Method, Samples, Task, TaskKind
from lnc_dicom.biomarker.evaluation.scoring import calibration_curve, confusion, score, score_sites, statistics_of

PATIENTS = 12
BOOTSTRAP = Bootstrap(PATIENTS, 100, 1)
BOTH_SIDES = Samples(np.arange(PATIENTS).repeat(2), np.tile([0, 1], PATIENTS), np.tile([50.0, 60.0], PATIENTS))


def _map(error, region=0):
    """CBF with a constant error per method; the mean predictor is off by 5."""
    blank = np.zeros((1, 2 * PATIENTS, 0)), np.zeros((1, 2 * PATIENTS), int)
    errors = dict.fromkeys(FITTED, error) | {Method.MEAN: 5.0, Method.ORACLE: 1.0}
    predicted = {
        m: OutOfFoldPredictions((BOTH_SIDES.y + e)[None], np.full((1, 2 * PATIENTS), 4.0), *blank)
        for m, e in errors.items()
    }
    return TaskResult(Task(TaskKind.MAP, region, quantity=1), BOTH_SIDES, (), predicted)


def _disease(right):
    """Disease of three categories, predicted with certainty; the first `right` patients correctly."""
    y = np.arange(PATIENTS) % 3
    said = np.where(np.arange(PATIENTS) < right, y, (y + 1) % 3)[None]
    unknown = np.full((1, PATIENTS), np.nan)
    predicted = OutOfFoldPredictions(unknown, unknown, np.eye(3)[said], said)
    samples = Samples(np.arange(PATIENTS), np.full(PATIENTS, -1), y.astype(float))
    return TaskResult(Task(TaskKind.DISEASE), samples, (0, 1, 2), dict.fromkeys((Method.MEAN, *FITTED), predicted))


def test_regions_are_scored_alone_and_pooled():
    found = statistics_of([_map(2.0, 0), _map(4.0, 1)], ("caudate", "putamen"), PATIENTS)
    assert [(t.name, t.region) for t in found] == [("CBF", "caudate"), ("CBF", "putamen"), ("CBF", "all inputs")]
    rmse = [score(t, BOOTSTRAP).scores[Method.MODEL]["rmse"].value for t in found]
    assert rmse == pytest.approx([2, 4, np.sqrt((2**2 + 4**2) / 2)])


def test_a_difference_is_the_first_method_minus_the_second():
    target = score(statistics_of([_map(2.0)], ("caudate",), PATIENTS)[0], BOOTSTRAP)
    assert target.differences[Method.MODEL, Method.MEAN]["rmse"].value == pytest.approx(2 - 5)
    assert target.scores[Method.MODEL]["coverage"].value == 1
    assert target.scores[Method.MEAN]["coverage"].value == 0


def test_the_share_is_the_gain_over_the_mean_relative_to_the_oracle():
    target = score(statistics_of([_map(2.0)], ("caudate",), PATIENTS)[0], BOOTSTRAP)
    assert target.shares[Method.MODEL]["rmse"].value == pytest.approx((5 - 2) / (5 - 1))
    assert "coverage" not in target.scores[Method.ORACLE]


def test_the_interval_of_an_accuracy_is_clopper_pearson_with_one_trial_per_patient():
    target = score(statistics_of([_disease(9)], (), PATIENTS)[0], BOOTSTRAP)
    assert target.scores[Method.MODEL]["accuracy"] == clopper_pearson(9 / 12, PATIENTS)
    assert not target.shares


def test_every_site_is_scored_with_its_own_patients():
    sites = score_sites(statistics_of([_disease(6)], (), PATIENTS), ["B"] * 6 + [""] * 6, BOOTSTRAP)
    assert [(s.site, s.patients) for s in sites] == [("unknown", 6), ("B", 6)]
    assert [s.scores["disease: accuracy"].value for s in sites] == [0, 1]


def test_the_confusion_matrix_has_the_true_class_in_rows():
    table = confusion(_disease(6), Method.MODEL)
    assert table.sum() == PATIENTS
    assert np.diag(table).tolist() == [2, 2, 2]
    assert [table[0, 1], table[1, 2], table[2, 0]] == [2, 2, 2]


def test_the_calibration_curve_has_count_probability_and_share_correct():
    assert calibration_curve(_disease(9), Method.MODEL).tolist() == [[12, 1, 0.75]]
