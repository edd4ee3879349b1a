"""What can be known at best: predictions from all that the T1 shows, read without error, and from age and sex.

Fitted on 40,000 other people drawn from the same distribution, so it is as close to the Bayes-optimal predictor as a
linear one gets; the simulation is linear and Gaussian but for the counts of lesions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lnc_dicom.simulate.subjects import People, Study, draw_people

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


def consult(people: People, study: Study, seed: int, *, age_and_sex_known: bool = False) -> Oracle:
    """Predict what the T1 of these people can tell. `seed` is the cohort's; other people are drawn from another.

    age_and_sex_known
        Whether the oracle knows age and sex besides.
    """
    others = draw_people(PEOPLE, study, seed + _SEED_OFFSET)
    seen, known = (
        _known(people, age_and_sex_known=age_and_sex_known),
        _known(others, age_and_sex_known=age_and_sex_known),
    )
    shape = people.fa.shape[1:]

    def linear(target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        fitted = make_pipeline(StandardScaler(), LinearRegression()).fit(known, target.reshape(PEOPLE, -1))
        return np.asarray(fitted.predict(seen))

    def classes(target: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(known, target)
        return np.asarray(fitted.predict_proba(seen)), np.asarray(fitted.classes_)

    sides = [classes(others.stems_read[:, side]) for side in range(2)]
    return Oracle(
        fa=linear(others.fa).reshape(-1, *shape),
        cbf=linear(others.cbf).reshape(-1, *shape),
        stems=np.stack([p @ c for p, c in sides], axis=1),
        stems_class=np.stack([c[p.argmax(axis=1)] for p, c in sides], axis=1),
        group=classes(others.group)[0],
    )


def _known(people: People, *, age_and_sex_known: bool) -> npt.NDArray[np.float64]:
    visible = people.visible()
    return np.column_stack([visible, people.age, people.male]) if age_and_sex_known else visible
