"""Scores against the number of training patients: whether more patients would help."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lnc_dicom.biomarker.evaluation.cross_validation import (
    Outcome,
    Predicted,
    Setting,
    Split,
    classes_of,
    folds_of_rows,
    predict_fold,
)
from lnc_dicom.biomarker.evaluation.design import Design, Kind, Rows, Task
from lnc_dicom.biomarker.evaluation.inputs import Ints, Seen
from lnc_dicom.biomarker.evaluation.metrics import (
    confusion_parts,
    confusion_statistics,
    error_parts,
    regression_statistics,
)

DESIGNS = (Design.MEAN, Design.MODEL)


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the learning curve: mean number of training patients, and by task and design one score.

    scores
        "FA", "CBF" (mean over the regions) and "LSA stems": R²; "disease": accuracy.
    """

    patients: float
    scores: Mapping[str, Mapping[Design, float]]


def learn(setting: Setting, tasks: Sequence[Task], progress: Callable[[str], None]) -> tuple[Point, ...]:
    """Repeat the first cross-validation with fewer training patients; too few for the inner folds are left out."""
    points = []
    for fraction in setting.options.fractions:
        progress(f"learning curve, {fraction:.0%} of the training patients")
        subsets = _subsets(setting, fraction)
        if min(len(s) for s in subsets) < 2 * setting.options.inner:
            continue
        views = [setting.views(s, np.flatnonzero(setting.patients(0) == i)) for i, s in enumerate(subsets)]
        values: dict[str, dict[Design, list[float]]] = {}
        for task in tasks:
            for design, score in _score(setting, task, subsets, views).items():
                values.setdefault(_name(task), {}).setdefault(design, []).append(score)
        means = {n: {d: float(np.mean(v)) for d, v in of.items()} for n, of in values.items()}
        points.append(Point(float(np.mean([len(s) for s in subsets])), means))
    return tuple(points)


def _name(task: Task) -> str:
    return {Kind.MAP: ("FA", "CBF")[task.quantity], Kind.STEMS: "LSA stems", Kind.DISEASE: "disease"}[task.kind]


def _subsets(setting: Setting, fraction: float) -> list[Ints]:
    """Training patients of every outer fold, thinned evenly in every stratum."""
    chance = np.random.default_rng(setting.options.seed)
    patients, strata = setting.patients(0), np.array(setting.strata)
    order = chance.permutation(len(patients))
    subsets = []
    for number in range(setting.options.folds):
        train = order[patients[order] != number]
        kept = [train[strata[train] == s] for s in np.unique(strata)]
        subsets.append(np.concatenate([k[: max(1, round(fraction * len(k)))] for k in kept]).astype(np.int64))
    return subsets


def _score(
    setting: Setting, task: Task, subsets: Sequence[Ints], views: Sequence[Sequence[Seen]]
) -> dict[Design, float]:
    rows = setting.rows(task)
    folds = folds_of_rows(setting, rows, 0)
    shape = (1, len(rows.y))
    classes = classes_of(task, rows, setting.group_names)
    found = {
        d: Predicted(
            np.full(shape, np.nan), np.full(shape, np.nan), np.zeros((*shape, len(classes))), np.zeros(shape, np.int64)
        )
        for d in DESIGNS
    }
    for number, subset in enumerate(subsets):
        split = _thinned(setting, rows, folds, number, subset)
        for design, part in predict_fold(setting, task, rows, split, views[number], DESIGNS).items():
            for name in ("value", "half", "probability", "chosen"):
                getattr(found[design], name)[0, split.test] = getattr(part, name)[0]
    return {d: _value(setting, Outcome(task, rows, classes, {}), p) for d, p in found.items()}


def _thinned(setting: Setting, rows: Rows, folds: Ints, number: int, subset: Ints) -> Split:
    train = np.flatnonzero((folds != number) & np.isin(rows.subject, subset))
    return Split(train, np.flatnonzero(folds == number), setting.inner(rows.subject[train], 0))


def _value(setting: Setting, outcome: Outcome, predicted: Predicted) -> float:
    count = len(setting.cohort)
    if outcome.task.kind is Kind.DISEASE:
        parts = confusion_parts(outcome, predicted, count)
        return float(confusion_statistics(parts, Kind.DISEASE)["accuracy"](np.ones((1, count)))[0])
    parts = error_parts(outcome, predicted, count)
    return float(regression_statistics(parts, intervals=False)["r2"](np.ones((1, count)))[0])
