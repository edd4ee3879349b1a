"""Inputs of an evaluation: the network's outputs for the patients, the options, and the predictions of an oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.errors import BadCohort

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ORACLE_FILE = "oracle.csv"


@dataclass(frozen=True, slots=True, eq=False)
class NetworkOutputs:
    """Outputs of the network for n patients, s = left regions then right regions.

    features
        Deep features, (n, s, 512).
    maps
        FA (no unit) and CBF (ml/100 g/min) as predicted by its heads, (n, s, 2).
    stems
        Expected number of stems left and right, (n, 2).
    logits
        Of the network's disease categories, (n, k); they need not be the cohort's.
    """

    features: Array = field(repr=False)
    maps: Array = field(repr=False)
    stems: Array = field(repr=False)
    logits: Array = field(repr=False)

    def __post_init__(self) -> None:
        """Check that all arrays belong to the same patients and are finite."""
        count, places = self.features.shape[:2]
        if self.maps.shape != (count, places, 2) or self.stems.shape != (count, 2) or len(self.logits) != count:
            raise ValueError("features, maps, stems and logits do not belong to the same patients and regions")
        if not all(np.isfinite(a).all() for a in (self.features, self.maps, self.stems, self.logits)):
            raise ValueError("features and predictions must be finite")


OutputsPerFold = Callable[[Ints, Ints], NetworkOutputs]
"""(training patients, test patients) → outputs for all n patients of a network trained on the former.

The outputs for the training patients should be out of fold as well (from networks not trained on them); otherwise the
regressions rely on predictions that are too good. It is called several times for the same fold.
"""
OutputSource = NetworkOutputs | OutputsPerFold
"""Outputs of one network trained on other patients, or of a network per fold."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """Parameters of an evaluation.

    folds, repeats, inner
        Number of outer folds, of repetitions with new folds, and of inner folds within a training fold.
    resamples, permutations
        Of the bootstrap and of the permutation tests.
    fractions
        Shares of the training patients on the learning curve.
    prior_weights
        Candidate weights of the network's own predictions relative to a deep feature; chosen inside the fold.
    group_names
        Disease categories in the order of the report; empty: the order of the table.
    simulated, demonstration
        Whether the patients are simulated, and whether the model was trained on simulated patients.
    """

    folds: int = 5
    repeats: int = 5
    inner: int = 5
    resamples: int = 2000
    permutations: int = 200
    fractions: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    prior_weights: tuple[float, ...] = (3.0, 30.0)
    seed: int = 1
    group_names: tuple[str, ...] = ()
    simulated: bool = False
    demonstration: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class OraclePredictions:
    """Predictions of an oracle for n patients: maps (n, s, 2), stems and their class (n, 2), groups (n, k).

    group_names
        Names of the columns of `groups`.
    """

    maps: Array = field(repr=False)
    stems: Array = field(repr=False)
    stems_class: Ints = field(repr=False)
    groups: Array = field(repr=False)
    group_names: tuple[str, ...]


def read_oracle(folder: Path, cohort: Cohort) -> OraclePredictions | None:
    """Read oracle.csv of a simulated cohort for the usable patients; None if there is no such file.

    Raises BadCohort if it lacks patients or columns.
    """
    path = folder / ORACLE_FILE
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype={"patient": str}).set_index("patient")
    sides = ("left", "right")
    maps = [f"{q} {r} {side}" for side in sides for r in cohort.regions for q in ("fa", "cbf")]
    stems, classes = ([f"{name}_{side}" for side in sides] for name in ("stems", "stems_class"))
    group_names = cohort.group_names
    groups = [f"group {name}" for name in group_names]
    wanted = [*maps, *stems, *classes, *groups]
    missing = [c for c in wanted if c not in table.columns]
    if missing:
        raise BadCohort(f"{ORACLE_FILE} lacks {len(missing)} columns, first '{missing[0]}'")
    names = [p.name for p in cohort.patients]
    if not set(names) <= set(table.index):
        raise BadCohort(f"{ORACLE_FILE} lacks {len(set(names) - set(table.index))} patients")
    rows = table.loc[names]
    return OraclePredictions(
        rows[maps].to_numpy(float).reshape(len(names), -1, 2),
        rows[stems].to_numpy(float),
        rows[classes].to_numpy(np.int64),
        rows[groups].to_numpy(float),
        group_names,
    )
