"""What an evaluation is given: what the network says of the patients, how to evaluate, what can be known at best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.errors import BadCohort

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ORACLE_FILE = "oracle.csv"


class Leak(Enum):
    """Leakage that is put in on purpose, to see whether the alarm hears it."""

    NONE = ""
    SIDES = "sides"
    SLICES = "slices"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the network says of n patients, s = left regions then right regions.

    features
        Deep features, (n, s, 512).
    maps
        FA (no unit) and CBF (ml/100 g/min) as its own heads predict them, (n, s, 2).
    stems
        Expected number of stems left and right, (n, 2).
    logits
        Of the disease categories of the network, (n, k); which categories does not matter here.
    """

    features: Array = field(repr=False)
    maps: Array = field(repr=False)
    stems: Array = field(repr=False)
    logits: Array = field(repr=False)

    def __post_init__(self) -> None:
        """Check that everything is about the same patients, and finite."""
        count, places = self.features.shape[:2]
        if self.maps.shape != (count, places, 2) or self.stems.shape != (count, 2) or len(self.logits) != count:
            raise ValueError("features, maps, stems and logits are not of the same patients and regions")
        if not all(np.isfinite(a).all() for a in (self.features, self.maps, self.stems, self.logits)):
            raise ValueError("features and predictions have to be finite")


SeenInFold = Callable[[Ints, Ints], Seen]
"""(training patients, test patients) → what a network trained on the former says of all n patients.

What it says of its training patients should be out of fold as well (from networks that have not seen them): the
regression would trust predictions that are too good. It is asked several times for the same fold.
"""
Source = Seen | Sequence[Seen] | SeenInFold
"""One network trained on other patients; the same with several views of every patient; or a network per fold."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to evaluate.

    folds, repeats, inner
        Outer folds, how often they are drawn anew, and folds inside a training fold.
    resamples, permutations
        Of the bootstrap and of the permutation test.
    fractions
        Shares of the training patients on the learning curve.
    prior_weights
        How much more than a deep feature a prediction of the network's own heads may count; chosen inside the fold.
    leak
        Leakage put in on purpose; SLICES needs several views.
    group_names
        Disease categories in the order of the report; empty: as the table has them.
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
    leak: Leak = Leak.NONE
    group_names: tuple[str, ...] = ()
    simulated: bool = False
    demonstration: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Attainable:
    """The oracle's predictions for n patients: maps (n, s, 2), expected stems and their class (n, 2), groups (n, k).

    group_names
        What the columns of `groups` are.
    """

    maps: Array = field(repr=False)
    stems: Array = field(repr=False)
    stems_class: Ints = field(repr=False)
    groups: Array = field(repr=False)
    group_names: tuple[str, ...]


def read_oracle(folder: Path, cohort: Cohort) -> Attainable | None:
    """Read oracle.csv of a simulated cohort for the patients that can be used; None where there is none.

    Raises BadCohort where it lacks patients or columns.
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
    return Attainable(
        rows[maps].to_numpy(float).reshape(len(names), -1, 2),
        rows[stems].to_numpy(float),
        rows[classes].to_numpy(np.int64),
        rows[groups].to_numpy(float),
        group_names,
    )
