import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation.evaluate import evaluate
from lnc_dicom.biomarker.evaluation.inputs import Leak, Options
from lnc_dicom.simulate.parameters import GROUPS
from lnc_dicom.simulate.subjects import Study, draw_people
from tests.simulated_features import attainable, cohort_of, seen_of

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
def chance():
    """Random numbers that are the same in every order of the tests."""
    return np.random.default_rng(4)


@pytest.fixture(scope="session")
def effect():
    """79 patients whose groups differ, and what can be known of them at best."""
    study = Study()
    people = draw_people(79, study, 3)
    options = Options(**QUICK | {"fractions": (0.4, 1.0), "demonstration": True})
    return evaluate(cohort_of(people), seen_of(people, study, 3), options, attainable(people, study, 3))


@pytest.fixture(scope="session")
def null():
    """Patients beside what the network says of other people: nothing can be known."""
    people, others = draw_people(60, Study(0.0), 5), draw_people(60, Study(0.0), 6)
    return evaluate(cohort_of(people), seen_of(others, Study(0.0), 6), Options(**QUICK))


@pytest.fixture(scope="session")
def confounded():
    """No effect of disease, but groups of different age."""
    study = Study(0.0, "age")
    people = draw_people(79, study, 5)
    return evaluate(cohort_of(people), seen_of(people, study, 5), Options(**QUICK | {"permutations": 5}))


@pytest.fixture(scope="session")
def leaking():
    """No effect of disease, and the sides of a patient in different folds."""
    people = draw_people(60, Study(0.0), 6)
    return evaluate(cohort_of(people), seen_of(people, Study(0.0), 6), Options(**QUICK | {"leak": Leak.SIDES}))
