"""Oracle: the best attainable predictions from all properties that the T1 shows, known without error.

Linear models fitted to 40,000 other people from the same distribution. They are close to the Bayes-optimal predictor,
because the simulation is linear and Gaussian except for the counts of lesions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lnc_dicom.simulate.subjects import CohortDesign, People, draw_people

PEOPLE = 40_000
_SEED_OFFSET = 1_000_003


@dataclass(frozen=True, slots=True, eq=False)
class Oracle:
    """Predictions for n people: FA and CBF (n, 5, 2), expected stems (n, 2), their class, group (n, groups)."""

    fa: npt.NDArray[np.float64]
    cbf: npt.NDArray[np.float64]
    stems: npt.NDArray[np.float64]
    stems_class: npt.NDArray[np.int64]
    group: npt.NDArray[np.float64]


def predict_with_oracle(people: People, design: CohortDesign, seed: int, *, age_and_sex_known: bool = False) -> Oracle:
    """Predict FA, CBF, stems and group of these people from the properties that their T1 shows.

    seed
        Seed of the cohort; the people to fit to are drawn with another one.
    age_and_sex_known
        Whether age and sex are predictors as well.
    """
    others = draw_people(PEOPLE, design, seed + _SEED_OFFSET)
    x, x_fit = (_predictors(some, age_and_sex_known=age_and_sex_known) for some in (people, others))
    shape = people.fa.shape[1:]

    def linear(target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        fitted = make_pipeline(StandardScaler(), LinearRegression()).fit(x_fit, target.reshape(PEOPLE, -1))
        return np.asarray(fitted.predict(x))

    def classes(target: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x_fit, target)
        return np.asarray(fitted.predict_proba(x)), np.asarray(fitted.classes_)

    sides = [classes(others.stems_read[:, side]) for side in range(2)]
    return Oracle(
        fa=linear(others.fa).reshape(-1, *shape),
        cbf=linear(others.cbf).reshape(-1, *shape),
        stems=np.stack([p @ c for p, c in sides], axis=1),
        stems_class=np.stack([c[p.argmax(axis=1)] for p, c in sides], axis=1),
        group=classes(others.group)[0],
    )


def _predictors(people: People, *, age_and_sex_known: bool) -> npt.NDArray[np.float64]:
    shown = people.t1_properties()
    return np.column_stack([shown, people.age, people.male]) if age_and_sex_known else shown
