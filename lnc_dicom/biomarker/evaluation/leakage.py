"""Scores and folds → leakage alarms: sentences for the top of the report if results are too good to be true.

Three limits: accuracy above 95 %; an error below the test-retest repeatability (within-subject coefficient of variation
of FA 2.1 % within a session, Veenith 2013; of CBF 14.1 to 15.7 % for pCASL, PMC4501671); and shuffled labels predicted
above chance. The folds themselves are checked as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lnc_dicom.biomarker.evaluation.design import DEEP, Method, TaskKind
from lnc_dicom.biomarker.evaluation.inputs import Ints
from lnc_dicom.biomarker.evaluation.permutation import PermutationTest
from lnc_dicom.biomarker.evaluation.scoring import TargetScores

HIGHEST_ACCURACY = 0.95
REPEATABILITY = {"FA": 0.02, "CBF": 0.14}
_TASKS = {TaskKind.STEMS: "Task 1 (LSA stems)", TaskKind.DISEASE: "Task 2 (disease)"}


def alarms(targets: Sequence[TargetScores], permutations: Sequence[PermutationTest]) -> tuple[str, ...]:
    """One sentence per reason for an alarm."""
    found = []
    for target in targets:
        found += _too_accurate(target) if target.kind is not TaskKind.MAP else _too_precise(target)
    return (*found, *(text for p in permutations for text in _shuffled(p)))


def split_patients(subject: Ints, folds: Ints) -> tuple[str, ...]:
    """One sentence if samples of one patient are in several folds.

    A network that predicts little may leak without a trace in the scores; the folds show it all the same.

    subject, folds
        Patient and outer fold of every sample, (m,).
    """
    pairs = np.unique(np.stack([subject, folds]), axis=1)
    split = int((np.bincount(pairs[0]) > 1).sum())
    if not split:
        return ()
    return (f"Leakage alarm: samples of {split} patients are in more than one fold.",)


def _too_accurate(target: TargetScores) -> list[str]:
    return [
        f"Leakage alarm: {_TASKS[target.kind]} is {_percent(target.scores[d]['accuracy'].value)} accurate with "
        f"'{d.value}', above {_percent(HIGHEST_ACCURACY)}: leakage is a more likely explanation than skill."
        for d in DEEP
        if target.scores[d]["accuracy"].value > HIGHEST_ACCURACY
    ]


def _too_precise(target: TargetScores) -> list[str]:
    """One sentence per method with an error below repeatability, unless the mean predictor is below it as well."""
    limit = REPEATABILITY[target.name]
    if target.scores[Method.MEAN]["rmse_over_mean"].value < limit:
        return []
    return [
        f"Leakage alarm: RMSE/mean of {target.name} ({target.region}) is "
        f"{_percent(target.scores[d]['rmse_over_mean'].value)} with '{d.value}', below the published repeatability of "
        f"{_percent(limit)}: no image can predict better than a second measurement."
        for d in DEEP
        if target.scores[d]["rmse_over_mean"].value < limit
    ]


def _shuffled(permutation: PermutationTest) -> list[str]:
    name, score = next(iter(permutation.scores.items()))
    if not score.above_chance:
        return []
    text = (
        f"Leakage alarm: with labels shuffled between patients, {_TASKS[permutation.kind]} still reaches a mean "
        f"{name.replace('_', ' ')} of {score.mean:.3f} (99.9 % interval {score.low:.3f} to {score.high:.3f}), above "
        f"chance ({score.chance:.3f}): the folds share patients."
    )
    return [text]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
