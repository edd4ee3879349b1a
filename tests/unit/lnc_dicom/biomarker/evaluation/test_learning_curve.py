from dataclasses import replace

import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation.cross_validation import Setting
from lnc_dicom.biomarker.evaluation.design import Method, Task, TaskKind
from lnc_dicom.biomarker.evaluation.inputs import EvaluationOptions, NetworkOutputs
from lnc_dicom.biomarker.evaluation.learning_curve import learning_curve
from lnc_dicom.simulate.parameters import GROUPS
from lnc_dicom.simulate.subjects import CohortDesign, draw_people
from tests.simulated_features import cohort_of

COHORT = cohort_of(draw_people(45, CohortDesign(), 1))
OPTIONS = EvaluationOptions(
    folds=3, repeats=1, inner=5, fractions=(0.1, 0.5, 1.0), prior_weights=(3.0,), group_names=GROUPS
)
TASKS = (Task(TaskKind.MAP), Task(TaskKind.MAP, 1), Task(TaskKind.DISEASE))


@pytest.fixture
def outputs(rng):
    """A network that predicts the maps exactly and nothing else."""
    return NetworkOutputs(rng.normal(size=(45, 6, 4)), COHORT.measured, rng.normal(size=(45, 2)), np.zeros((45, 3)))


def test_fractions_too_small_for_the_inner_folds_are_left_out(outputs):
    points = learning_curve(Setting.of(COHORT, outputs, OPTIONS), TASKS, str)
    assert [p.patients for p in points] == pytest.approx([15, 30], abs=2)


def test_regions_are_averaged_and_the_disease_is_scored_by_accuracy(outputs):
    (point,) = learning_curve(Setting.of(COHORT, outputs, replace(OPTIONS, fractions=(1.0,))), TASKS, str)
    assert set(point.scores) == {"FA", "disease"}
    assert point.scores["FA"][Method.MODEL] > 0.95
    assert point.scores["FA"][Method.MEAN] == pytest.approx(0, abs=0.1)
    assert point.scores["disease"][Method.MEAN] == pytest.approx(1 / 3, abs=0.02)


def test_a_network_per_fold_is_trained_on_the_chosen_fraction_only(outputs):
    calls = []

    def source(train, test):
        calls.append((len(train), set(train) & set(test)))
        return outputs

    learning_curve(Setting.of(COHORT, source, replace(OPTIONS, fractions=(0.5,))), TASKS[:1], str)
    assert [count for count, _ in calls] == pytest.approx([15] * 3, abs=2)
    assert not any(shared for _, shared in calls)
