import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation.cross_validation import Setting, cross_validate
from lnc_dicom.biomarker.evaluation.design import Method, Task, TaskKind
from lnc_dicom.biomarker.evaluation.inputs import EvaluationOptions, NetworkOutputs
from lnc_dicom.errors import BadCohort
from lnc_dicom.simulate.parameters import GROUPS
from lnc_dicom.simulate.subjects import CohortDesign, draw_people
from tests.simulated_features import cohort_of

OPTIONS = EvaluationOptions(folds=3, repeats=1, inner=3, prior_weights=(3.0,), group_names=GROUPS)


def _cohort():
    return cohort_of(draw_people(30, CohortDesign(), 1))


def _outputs(cohort, rng, truth=None):
    """Noise, except for maps if the truth is given."""
    n = len(cohort)
    maps = truth if truth is not None else rng.normal(size=(n, 6, 2))
    return NetworkOutputs(rng.normal(size=(n, 6, 4)), maps, rng.normal(size=(n, 2)), rng.normal(size=(n, 3)))


def _of(results, kind):
    return next(o for o in results if o.task.kind is kind)


def test_a_network_that_predicts_the_truth_gives_small_errors(rng):
    cohort = _cohort()
    result = cross_validate(Setting.of(cohort, _outputs(cohort, rng, cohort.measured), OPTIONS), None, str)[0]
    error = result.predicted[Method.MODEL].value - result.samples.y
    assert np.sqrt((error**2).mean()) < 0.1 * result.samples.y.std()


def test_changing_the_label_of_a_patient_changes_no_prediction_for_that_patient(rng):
    outputs = _outputs(_cohort(), rng)
    values = []
    for extra in (0.0, 100.0):
        cohort = _cohort()
        cohort.measured[4, 0, 0] += extra
        values.append(cross_validate(Setting.of(cohort, outputs, OPTIONS), None, str)[0])
    own = values[0].samples.subject == 4
    for method in (Method.MEAN, Method.AGE, Method.VOLUMES, Method.MODEL, Method.MODEL_AGE):
        before, after = (v.predicted[method].value for v in values)
        assert np.array_equal(before[:, own], after[:, own])
        assert not np.allclose(before[:, ~own], after[:, ~own])


def test_a_network_per_fold_gets_the_training_and_test_patients(rng):
    cohort, calls = _cohort(), []
    outputs = _outputs(cohort, rng)

    def source(train, test):
        calls.append((set(train), set(test)))
        return outputs

    of_folds = cross_validate(Setting.of(cohort, source, OPTIONS), None, str)
    of_one = cross_validate(Setting.of(cohort, outputs, OPTIONS), None, str)
    assert len(calls) == 3
    assert all(not train & test and train | test == set(range(30)) for train, test in calls)
    assert set().union(*(test for _, test in calls)) == set(range(30))
    stems = [_of(o, TaskKind.STEMS).predicted[Method.MODEL].value for o in (of_folds, of_one)]
    assert np.array_equal(*stems)


def test_a_category_too_small_for_every_fold_is_refused(rng):
    cohort = _cohort()
    with pytest.raises(BadCohort, match="at least 11 patients each"):
        Setting.of(cohort, _outputs(cohort, rng), EvaluationOptions(folds=11))


def test_the_mean_predictor_predicts_the_most_frequent_class(rng):
    cohort = _cohort()
    result = _of(cross_validate(Setting.of(cohort, _outputs(cohort, rng), OPTIONS), None, str), TaskKind.STEMS)
    predicted = result.predicted[Method.MEAN]
    most = np.bincount(cohort.stems.ravel()).argmax()
    assert set(predicted.class_index.ravel() + result.classes[0]) == {most}
    assert np.isclose(predicted.value.mean(), cohort.stems.mean(), atol=0.05)


def test_both_sides_of_a_patient_are_in_the_same_outer_and_inner_fold(rng):
    cohort = _cohort()
    setting = Setting.of(cohort, _outputs(cohort, rng), EvaluationOptions(folds=3, inner=3))
    samples = setting.samples(Task(TaskKind.STEMS))
    for folds in (setting.outer_folds(samples, 0), setting.inner_folds(samples.subject, 0)):
        left, right = folds.reshape(30, 2).T
        assert (left == right).all()
        assert set(left) == {0, 1, 2}
