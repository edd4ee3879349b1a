"""Scores → the sentences that are printed at the top when they are too good to be true.

Limits are those of `science.md` §3.1: more than 95 % right; an error below what the same person measured twice differs
by (FA: coefficient of variation 2.1 % within a session, Veenith 2013; CBF: 14.1 to 15.7 % for pCASL, PMC4501671); and
labels that were shuffled between patients predicted better than by chance. The folds are looked at themselves, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lnc_dicom.biomarker.evaluation.design import DEEP, Design, Kind
from lnc_dicom.biomarker.evaluation.inputs import Ints
from lnc_dicom.biomarker.evaluation.permutation import Permutation
from lnc_dicom.biomarker.evaluation.scoring import Target

HIGHEST_ACCURACY = 0.95
REPEATABILITY = {"FA": 0.02, "CBF": 0.14}
_TASKS = {Kind.STEMS: "Task 1 (LSA stems)", Kind.DISEASE: "Task 2 (disease)"}


def alarms(targets: Sequence[Target], permutations: Sequence[Permutation]) -> tuple[str, ...]:
    """Give one sentence per reason for alarm; nothing where there is none."""
    found = []
    for target in targets:
        found += _too_accurate(target) if target.kind is not Kind.MAP else _too_precise(target)
    return (*found, *(text for p in permutations for text in _shuffled(p)))


def split_patients(subject: Ints, folds: Ints) -> tuple[str, ...]:
    """Look at the folds themselves: a sentence where rows of one patient lie in several, nothing where they do not.

    subject, folds
        Patient and outer fold of every row, (m,). A network that knows little of the patients leaks without a trace in
        the scores; the folds tell it all the same.
    """
    pairs = np.unique(np.stack([subject, folds]), axis=1)
    split = int((np.bincount(pairs[0]) > 1).sum())
    if not split:
        return ()
    return (f"Leakage alarm: rows of {split} patients lie in more than one fold.",)


def _too_accurate(target: Target) -> list[str]:
    return [
        f"Leakage alarm: {_TASKS[target.kind]} is {_percent(target.scores[d]['accuracy'].value)} accurate with "
        f"'{d.value}', above {_percent(HIGHEST_ACCURACY)}: rows of one patient in several folds are likelier than that."
        for d in DEEP
        if target.scores[d]["accuracy"].value > HIGHEST_ACCURACY
    ]


def _too_precise(target: Target) -> list[str]:
    """Look for an error below repeatability; not where the mean predictor is below it too: little varies there."""
    limit = REPEATABILITY[target.name]
    if target.scores[Design.MEAN]["rmse_over_mean"].value < limit:
        return []
    return [
        f"Leakage alarm: RMSE/mean of {target.name} ({target.region}) is "
        f"{_percent(target.scores[d]['rmse_over_mean'].value)} with '{d.value}', below the published repeatability of "
        f"{_percent(limit)}: no image can tell more than measuring twice."
        for d in DEEP
        if target.scores[d]["rmse_over_mean"].value < limit
    ]


def _shuffled(permutation: Permutation) -> list[str]:
    name, score = next(iter(permutation.scores.items()))
    if not score.above_chance:
        return []
    text = (
        f"Leakage alarm: with labels shuffled between patients {_TASKS[permutation.kind]} still reaches a mean "
        f"{name.replace('_', ' ')} of {score.mean:.3f} (99.9 % interval {score.low:.3f} to {score.high:.3f}), above "
        f"chance ({score.chance:.3f}): the folds share patients."
    )
    return [text]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
