import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation import permutation
from lnc_dicom.biomarker.evaluation.cross_validation import Setting
from lnc_dicom.biomarker.evaluation.design import Samples, TaskKind, samples_of
from lnc_dicom.biomarker.evaluation.evaluate import evaluate
from lnc_dicom.biomarker.evaluation.inputs import EvaluationOptions
from lnc_dicom.simulate.parameters import GROUPS
from lnc_dicom.simulate.subjects import CohortDesign, draw_people
from tests.simulated_features import cohort_of, network_outputs_of, oracle_predictions

QUICK = {
    "folds": 4,
    "repeats": 1,
    "inner": 3,
    "resamples": 200,
    "permutations": 12,
    "fractions": (),
    "prior_weights": (3.0,),
    "group_names": GROUPS,
    "simulated": True,
}


@pytest.fixture
def rng():
    """Random numbers that are the same in every order of the tests."""
    return np.random.default_rng(4)


@pytest.fixture(scope="session")
def effect():
    """79 patients whose groups differ, with the predictions of an oracle."""
    design = CohortDesign()
    people = draw_people(79, design, 3)
    options = EvaluationOptions(**QUICK | {"fractions": (0.4, 1.0), "demonstration": True})
    return evaluate(
        cohort_of(people), network_outputs_of(people, design, 3), options, oracle_predictions(people, design, 3)
    )


@pytest.fixture(scope="session")
def null():
    """Outputs of the network that belong to other people: there is nothing to learn."""
    people, others = draw_people(60, CohortDesign(0.0), 5), draw_people(60, CohortDesign(0.0), 6)
    return evaluate(cohort_of(people), network_outputs_of(others, CohortDesign(0.0), 6), EvaluationOptions(**QUICK))


@pytest.fixture(scope="session")
def confounded():
    """No effect of disease, but groups of different age."""
    design = CohortDesign(0.0, "age")
    people = draw_people(79, design, 5)
    return evaluate(
        cohort_of(people), network_outputs_of(people, design, 5), EvaluationOptions(**QUICK | {"permutations": 5})
    )


@pytest.fixture(scope="session")
def leaking():
    """No effect of disease, and the sides of a patient in different folds."""
    people = draw_people(60, CohortDesign(0.0), 6)
    with pytest.MonkeyPatch.context() as patch:
        split_sides(patch)
        outputs = network_outputs_of(people, CohortDesign(0.0), 6)
        return evaluate(cohort_of(people), outputs, EvaluationOptions(**QUICK))


def split_sides(patch):
    """Simulate leakage: every side is a sample of its own, in a fold of its own."""

    def sides(self, task):
        samples = samples_of(task, self.cohort, self.group_names)
        if task.kind is not TaskKind.DISEASE:
            return samples
        return Samples(samples.subject.repeat(2), np.tile([0, 1], len(samples.y)), samples.y.repeat(2))

    def scattered(folds, count, seed):
        return np.random.default_rng(seed).permutation(np.arange(count) % folds)

    patch.setattr(
        permutation, "sample_folds", lambda subject, _strata, folds, seed: scattered(folds, len(subject), seed)
    )
    patch.setattr(Setting, "samples", sides)
    patch.setattr(Setting, "outer_folds", lambda self, s, r: scattered(self.options.folds, len(s.y), r + 1))
    patch.setattr(Setting, "inner_folds", lambda self, s, r: scattered(self.options.inner, len(s), r + 77))
