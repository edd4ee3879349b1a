"""Scores by number of training patients, which show whether more patients would help."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lnc_dicom.biomarker.evaluation.cross_validation import (
    OutOfFoldPredictions,
    Setting,
    Split,
    TaskResult,
    classes_of,
    predict_fold,
)
from lnc_dicom.biomarker.evaluation.design import Method, Samples, Task, TaskKind
from lnc_dicom.biomarker.evaluation.inputs import Ints, NetworkOutputs
from lnc_dicom.biomarker.evaluation.metrics import (
    confusion_parts,
    confusion_statistics,
    error_parts,
    regression_statistics,
)

METHODS = (Method.MEAN, Method.MODEL)


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """One point of the learning curve: mean number of training patients, and by task and method one score.

    scores
        "FA", "CBF" (mean over the regions) and "LSA stems": R²; "disease": accuracy.
    """

    patients: float
    scores: Mapping[str, Mapping[Method, float]]


def learning_curve(
    setting: Setting, tasks: Sequence[Task], progress: Callable[[str], None]
) -> tuple[LearningPoint, ...]:
    """Repeat the first cross-validation with fractions of the training patients.

    A fraction too small for the inner folds is left out.
    """
    points = []
    for fraction in setting.options.fractions:
        progress(f"learning curve, {fraction:.0%} of the training patients")
        subsets = _subsets(setting, fraction)
        if min(len(s) for s in subsets) < 2 * setting.options.inner:
            continue
        outputs = [setting.outputs(s, np.flatnonzero(setting.patients(0) == i)) for i, s in enumerate(subsets)]
        values: dict[str, dict[Method, list[float]]] = {}
        for task in tasks:
            for method, score in _score(setting, task, subsets, outputs).items():
                values.setdefault(_name(task), {}).setdefault(method, []).append(score)
        means = {n: {d: float(np.mean(v)) for d, v in of.items()} for n, of in values.items()}
        points.append(LearningPoint(float(np.mean([len(s) for s in subsets])), means))
    return tuple(points)


def _name(task: Task) -> str:
    return {TaskKind.MAP: ("FA", "CBF")[task.quantity], TaskKind.STEMS: "LSA stems", TaskKind.DISEASE: "disease"}[
        task.kind
    ]


def _subsets(setting: Setting, fraction: float) -> list[Ints]:
    """Choose a fraction of the training patients of every outer fold, evenly from every stratum."""
    rng = np.random.default_rng(setting.options.seed)
    patients, strata = setting.patients(0), np.array(setting.strata)
    order = rng.permutation(len(patients))
    subsets = []
    for number in range(setting.options.folds):
        train = order[patients[order] != number]
        kept = [train[strata[train] == s] for s in np.unique(strata)]
        subsets.append(np.concatenate([k[: max(1, round(fraction * len(k)))] for k in kept]).astype(np.int64))
    return subsets


def _score(
    setting: Setting, task: Task, subsets: Sequence[Ints], outputs: Sequence[NetworkOutputs]
) -> dict[Method, float]:
    samples = setting.samples(task)
    folds = setting.outer_folds(samples, 0)
    classes = classes_of(task, samples, setting.group_names)
    found = {method: OutOfFoldPredictions.blank(1, len(samples.y), len(classes)) for method in METHODS}
    for number, subset in enumerate(subsets):
        split = _thinned(setting, samples, folds, number, subset)
        for method, part in predict_fold(setting, task, samples, split, outputs[number], METHODS).items():
            found[method].fill(0, split.test, part)
    return {d: _value(setting, TaskResult(task, samples, classes, {}), p) for d, p in found.items()}


def _thinned(setting: Setting, samples: Samples, folds: Ints, number: int, subset: Ints) -> Split:
    train = np.flatnonzero((folds != number) & np.isin(samples.subject, subset))
    return Split(train, np.flatnonzero(folds == number), setting.inner_folds(samples.subject[train], 0))


def _value(setting: Setting, result: TaskResult, predicted: OutOfFoldPredictions) -> float:
    count = len(setting.cohort)
    if result.task.kind is TaskKind.DISEASE:
        parts = confusion_parts(result, predicted, count)
        return float(confusion_statistics(parts, TaskKind.DISEASE)["accuracy"](np.ones((1, count)))[0])
    parts = error_parts(result, predicted, count)
    return float(regression_statistics(parts, intervals=False)["r2"](np.ones((1, count)))[0])
