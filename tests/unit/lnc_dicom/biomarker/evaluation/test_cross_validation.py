import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation.cross_validation import Setting, cross_validate, discretised, folds_of_rows
from lnc_dicom.biomarker.evaluation.design import Design, Kind, Task
from lnc_dicom.biomarker.evaluation.inputs import Leak, Options, Seen
from lnc_dicom.errors import BadCohort
from lnc_dicom.simulate.parameters import GROUPS
from lnc_dicom.simulate.subjects import Study, draw_people
from tests.simulated_features import cohort_of

OPTIONS = Options(folds=3, repeats=1, inner=3, prior_weights=(3.0,), group_names=GROUPS)


def _cohort():
    return cohort_of(draw_people(30, Study(), 1))


def _seen(cohort, chance, truth=None):
    """Noise, but for what is known of the truth."""
    n = len(cohort)
    maps = truth if truth is not None else chance.normal(size=(n, 6, 2))
    return Seen(chance.normal(size=(n, 6, 4)), maps, chance.normal(size=(n, 2)), chance.normal(size=(n, 3)))


def _of(outcomes, kind):
    return next(o for o in outcomes if o.task.kind is kind)


def test_a_network_that_knows_the_truth_is_believed(chance):
    cohort = _cohort()
    outcome = cross_validate(Setting.of(cohort, _seen(cohort, chance, cohort.measured), OPTIONS), None, str)[0]
    error = outcome.predicted[Design.MODEL].value - outcome.rows.y
    assert np.sqrt((error**2).mean()) < 0.1 * outcome.rows.y.std()


def test_changing_the_label_of_a_patient_changes_no_prediction_of_that_patient(chance):
    seen = _seen(_cohort(), chance)
    values = []
    for extra in (0.0, 100.0):
        cohort = _cohort()
        cohort.measured[4, 0, 0] += extra
        values.append(cross_validate(Setting.of(cohort, seen, OPTIONS), None, str)[0])
    own = values[0].rows.subject == 4
    for design in (Design.MEAN, Design.AGE, Design.VOLUMES, Design.MODEL, Design.MODEL_AGE):
        before, after = (v.predicted[design].value for v in values)
        assert np.array_equal(before[:, own], after[:, own])
        assert not np.allclose(before[:, ~own], after[:, ~own])


def test_a_network_per_fold_is_told_who_trains_and_who_is_tested(chance):
    cohort, asked = _cohort(), []
    seen = _seen(cohort, chance)

    def source(train, test):
        asked.append((set(train), set(test)))
        return seen

    of_folds = cross_validate(Setting.of(cohort, source, OPTIONS), None, str)
    of_one = cross_validate(Setting.of(cohort, seen, OPTIONS), None, str)
    assert len(asked) == 3
    assert all(not train & test and train | test == set(range(30)) for train, test in asked)
    assert set().union(*(test for _, test in asked)) == set(range(30))
    stems = [_of(o, Kind.STEMS).predicted[Design.MODEL].value for o in (of_folds, of_one)]
    assert np.array_equal(*stems)


def test_a_category_that_cannot_be_in_every_fold_is_refused(chance):
    cohort = _cohort()
    with pytest.raises(BadCohort, match="11 patients or more each"):
        Setting.of(cohort, _seen(cohort, chance), Options(folds=11))


def test_counts_have_the_probabilities_of_a_normal_distribution():
    probability = discretised(np.array([3.0, 9.0]), 1.0, (2, 3, 4))
    assert np.allclose(probability.sum(axis=1), 1)
    assert np.allclose(probability[0], [0.3085, 0.3829, 0.3085], atol=1e-4)
    assert probability[1].argmax() == 2


def test_the_plainest_baseline_answers_with_the_most_frequent_class(chance):
    cohort = _cohort()
    outcome = _of(cross_validate(Setting.of(cohort, _seen(cohort, chance), OPTIONS), None, str), Kind.STEMS)
    predicted = outcome.predicted[Design.MEAN]
    most = np.bincount(cohort.stems.ravel()).argmax()
    assert set(predicted.chosen.ravel() + outcome.classes[0]) == {most}
    assert np.isclose(predicted.value.mean(), cohort.stems.mean(), atol=0.05)


def test_only_a_leak_splits_a_patient(chance):
    cohort = _cohort()
    for leak, together in ((Leak.NONE, True), (Leak.SIDES, False)):
        setting = Setting.of(cohort, _seen(cohort, chance), Options(folds=3, leak=leak))
        rows = setting.rows(Task(Kind.STEMS))
        folds = folds_of_rows(setting, rows, 0).reshape(30, 2)
        assert (folds[:, 0] == folds[:, 1]).all() == together
