import numpy as np
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from lnc_dicom.biomarker.evaluation.cross_validation import OutOfFoldPredictions, TaskResult
from lnc_dicom.biomarker.evaluation.design import Samples, Task, TaskKind
from lnc_dicom.biomarker.evaluation.metrics import (
    both_sides_right,
    confusion_parts,
    confusion_statistics,
    error_parts,
    probability_statistics,
    regression_statistics,
)

ONCE = np.ones((1, 40))


def _result(kind, y, classes=()):
    per = len(y) // 40
    subject, side = np.repeat(np.arange(40), per), np.tile(np.arange(per), 40)
    return TaskResult(Task(kind), Samples(subject, side, np.asarray(y, float)), classes, {})


def _answers(probability):
    blank = np.full(probability.shape[:2], np.nan)
    return OutOfFoldPredictions(blank, blank, probability, probability.argmax(axis=-1))


def _regression(rng):
    y = rng.normal(50, 5, 80)
    value = np.stack([y + rng.normal(0, 3, 80) for _ in range(2)])
    predicted = OutOfFoldPredictions(value, np.full((2, 80), 4.0), np.zeros((2, 80, 0)), np.zeros((2, 80), int))
    return y, value, regression_statistics(error_parts(_result(TaskKind.MAP, y), predicted, 40), intervals=True)


def test_regression_scores_are_those_of_scikit_learn_averaged_over_repeats(rng):
    y, value, found = _regression(rng)
    for name, expected in (("rmse", root_mean_squared_error), ("r2", r2_score), ("mae", mean_absolute_error)):
        assert np.isclose(found[name](ONCE)[0], np.mean([expected(y, v) for v in value])), name
    assert np.isclose(found["rmse_over_mean"](ONCE)[0], found["rmse"](ONCE)[0] / y.mean())
    assert np.isclose(found["coverage"](ONCE)[0], (np.abs(value - y) <= 4).mean())


def test_a_patient_drawn_twice_has_twice_the_weight(rng):
    y, value, found = _regression(rng)
    weights = ONCE.copy()
    weights[0, 7] = 2
    again = np.concatenate([np.arange(80), [14, 15]])
    assert np.isclose(found["r2"](weights)[0], np.mean([r2_score(y[again], v[again]) for v in value]))


def test_pooled_skill_is_relative_to_the_mean_of_each_region(rng):
    y = np.concatenate([rng.normal(10, 1, 80), rng.normal(100, 1, 80)])
    parts = []
    for some in (y[:80], y[80:]):
        value = np.full((1, 80), some.mean())
        predicted = OutOfFoldPredictions(value, value * np.nan, np.zeros((1, 80, 0)), np.zeros((1, 80), int))
        parts.append(error_parts(_result(TaskKind.MAP, some), predicted, 40))
    pooled = regression_statistics(np.concatenate(parts, axis=-1), intervals=False)
    assert np.isclose(pooled["r2"](ONCE)[0], 0)
    assert np.isclose(pooled["rmse_over_mean"](ONCE)[0], pooled["rmse"](ONCE)[0] / y.mean())


def test_scores_of_counts_are_those_of_scikit_learn(rng):
    y = rng.integers(2, 7, 80)
    probability = np.eye(5)[np.clip(y + rng.integers(-1, 2, 80), 2, 6) - 2][None]
    result, predicted = _result(TaskKind.STEMS, y, (2, 3, 4, 5, 6)), _answers(probability)
    found = confusion_statistics(confusion_parts(result, predicted, 40), TaskKind.STEMS)
    answered = predicted.class_index[0] + 2
    assert np.isclose(found["accuracy"](ONCE)[0], accuracy_score(y, answered))
    assert np.isclose(found["within_1"](ONCE)[0], (np.abs(y - answered) <= 1).mean())
    assert np.isclose(found["quadratic_kappa"](ONCE)[0], cohen_kappa_score(y, answered, weights="quadratic"))
    both = (y == answered).reshape(40, 2).all(axis=1).mean()
    assert np.isclose(both_sides_right(result, predicted, 40)(ONCE)[0], both)


def test_scores_of_categories_are_those_of_scikit_learn(rng):
    y = rng.integers(0, 3, 40)
    probability = rng.dirichlet([1, 1, 1], size=40)[None]
    result, predicted = _result(TaskKind.DISEASE, y, (0, 1, 2)), _answers(probability)
    found = confusion_statistics(confusion_parts(result, predicted, 40), TaskKind.DISEASE)
    found |= probability_statistics(result, predicted, 40)
    assert np.isclose(found["balanced_accuracy"](ONCE)[0], balanced_accuracy_score(y, predicted.class_index[0]))
    assert np.isclose(found["macro_auc"](ONCE)[0], roc_auc_score(y, probability[0], multi_class="ovr"))
    weights = rng.integers(0, 3, (1, 40)).astype(float)
    again = np.repeat(np.arange(40), weights[0].astype(int))
    expected = roc_auc_score(y[again], probability[0, again], multi_class="ovr")
    assert np.isclose(found["macro_auc"](weights)[0], expected)


def test_brier_score_and_calibration_error_are_those_computed_by_hand():
    y = np.array([0, 0, 1, 1] * 10)
    probability = np.tile([[0.95, 0.05], [0.75, 0.25], [0.65, 0.35], [0.05, 0.95]], (10, 1))[None]
    found = probability_statistics(_result(TaskKind.DISEASE, y, (0, 1)), _answers(probability), 40)
    assert np.isclose(found["brier"](ONCE)[0], 2 * (0.05**2 + 0.25**2 + 0.65**2 + 0.05**2) / 4)
    # bins: .95 twice, both right; .75 right; .65 wrong
    assert np.isclose(found["ece"](ONCE)[0], (2 * 0.05 + 0.25 + 0.65) / 4)


def test_a_constant_prediction_has_an_auc_of_one_half():
    y = np.arange(40) % 3
    found = probability_statistics(_result(TaskKind.DISEASE, y, (0, 1, 2)), _answers(np.full((1, 40, 3), 1 / 3)), 40)
    assert found["macro_auc"](ONCE)[0] == 0.5
