"""Permutation tests: the same procedure with labels shuffled between patients, where there is nothing to learn.

Labels are shuffled within an outer fold, so that the balance of the folds neither raises nor lowers the shuffled
scores; the labels of both sides of a patient stay together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats

from lnc_dicom.biomarker.evaluation.cross_validation import (
    OutOfFoldPredictions,
    Setting,
    Split,
    TaskResult,
    classes_of,
    of_expected,
    of_probability,
    split_of,
)
from lnc_dicom.biomarker.evaluation.design import DesignMatrix, Method, Samples, Task, TaskKind, design_matrix
from lnc_dicom.biomarker.evaluation.folds import sample_folds
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints
from lnc_dicom.biomarker.evaluation.metrics import (
    confusion_parts,
    confusion_statistics,
    error_parts,
    pairs,
    regression_statistics,
)
from lnc_dicom.biomarker.evaluation.regressors import classify, regress, rotate

CONFIDENCE = 0.999
"""Of the interval of the mean shuffled score: without leakage one alarm in a thousand tests is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class PermutationScore:
    """One score: observed, and with shuffled labels.

    p
        Of the permutation test, which counts the observed labels as one of the permutations.
    mean, low, high
        Mean of the shuffled scores and its 99.9 % interval. chance: expected score without information.
    """

    observed: float
    p: float
    mean: float
    low: float
    high: float
    chance: float
    values: Array = field(repr=False)

    @property
    def above_chance(self) -> bool:
        """Whether shuffled labels were predicted above chance, which means leakage."""
        return self.low > self.chance


@dataclass(frozen=True, slots=True, eq=False)
class PermutationTest:
    """Permutation test of one task; the first score is the one that the leakage alarm uses."""

    kind: TaskKind
    count: int
    scores: Mapping[str, PermutationScore]


def permutation_test(setting: Setting, task: Task, progress: Callable[[str], None]) -> PermutationTest:
    """Repeat the first cross-validation of the model with shuffled labels."""
    samples = setting.samples(task)
    folds = setting.outer_folds(samples, 0)
    orders = _orders(setting)
    labels = np.stack([_shuffled_labels(samples, order) for order in orders])
    classes = classes_of(task, samples, setting.group_names)
    found = OutOfFoldPredictions.blank(len(labels), len(samples.y), len(classes))
    patients = setting.patients(0)
    for number in range(setting.options.folds):
        progress(f"shuffled labels, {task.kind.value}, fold {number + 1} of {setting.options.folds}")
        outputs = setting.outputs(np.flatnonzero(patients != number), np.flatnonzero(patients == number))
        columns = design_matrix(task, Method.MODEL, samples, setting.cohort, outputs)
        split = split_of(setting, samples, folds, number, 0)
        for i, part in enumerate(_predict(setting, task, samples, split, columns, labels, orders)):
            found.fill(i, split.test, part)
    scores = [
        _scores(setting, TaskResult(task, replace(samples, y=y), classes, {}), found, i) for i, y in enumerate(labels)
    ]
    return PermutationTest(task.kind, len(orders) - 1, _compare(scores, len(classes)))


def _orders(setting: Setting) -> Ints:
    """Index of the patient whose labels each patient gets, (1 + permutations, n); the first row is the identity."""
    count = len(setting.cohort)
    rng = np.random.default_rng(setting.options.seed)
    orders = np.tile(np.arange(count), (1 + setting.options.permutations, 1))
    fold = setting.patients(0)
    for order in orders[1:]:
        for number in np.unique(fold):
            members = np.flatnonzero(fold == number)
            order[members] = rng.permutation(members)
    return orders


def _shuffled_labels(samples: Samples, order: Ints) -> Array:
    """Label of the same side of another patient for every sample, (m,)."""
    table = np.zeros((len(order), 2))
    table[samples.subject, np.maximum(samples.side, 0)] = samples.y
    return np.asarray(table[order[samples.subject], np.maximum(samples.side, 0)])


def _predict(
    setting: Setting, task: Task, samples: Samples, split: Split, columns: DesignMatrix, labels: Array, orders: Ints
) -> list[OutOfFoldPredictions]:
    """Predict the test samples of one fold with every set of labels."""
    classes = classes_of(task, samples, setting.group_names)
    plain = rotate(columns.features[split.train], columns.features[split.test])
    train = DesignMatrix(plain[0], columns.predictors[split.train])
    test = DesignMatrix(plain[1], columns.predictors[split.test])
    weights = setting.options.prior_weights
    if task.kind is not TaskKind.DISEASE:
        expected = regress(train, labels[:, split.train].T, split.inner, test, weights)
        return [of_expected(expected, classes, i) for i in range(len(labels))]
    parts = []
    for y, order in zip(labels, orders, strict=True):
        strata = [setting.strata[i] for i in order]
        inner = sample_folds(samples.subject[split.train], strata, setting.options.inner, setting.options.seed)
        parts.append(of_probability(classify(train, y[split.train].astype(int), inner, test, weights, len(classes))))
    return parts


def _scores(setting: Setting, result: TaskResult, found: OutOfFoldPredictions, place: int) -> dict[str, float]:
    """Every score of one set of labels; the one for the alarm first."""
    one = slice(place, place + 1)
    predicted = OutOfFoldPredictions(
        found.value[one], found.half_width[one], found.probability[one], found.class_index[one]
    )
    count = len(setting.cohort)
    everyone = np.ones((1, count))
    of = confusion_statistics(confusion_parts(result, predicted, count), result.task.kind)
    if result.task.kind is TaskKind.STEMS:
        errors = regression_statistics(error_parts(result, predicted, count), intervals=False)
        wanted = {"quadratic_kappa": of["quadratic_kappa"], "accuracy": of["accuracy"], "r2": errors["r2"]}
    else:
        area = pairs(result, predicted, count)
        wanted = {"balanced_accuracy": of["balanced_accuracy"], "accuracy": of["accuracy"], "macro_auc": area}
    return {name: float(statistic(everyone)[0]) for name, statistic in wanted.items()} | {
        "most frequent": float(np.bincount(result.samples.y.astype(int)).max() / len(result.samples.y))
    }


def _compare(scores: list[dict[str, float]], classes: int) -> dict[str, PermutationScore]:
    chance = {"quadratic_kappa": 0.0, "r2": 0.0, "macro_auc": 0.5, "balanced_accuracy": 1 / classes}
    chance["accuracy"] = scores[0]["most frequent"]
    names = [n for n in scores[0] if n != "most frequent"]
    return {n: compare_with_shuffled(scores[0][n], np.array([s[n] for s in scores[1:]]), chance[n]) for n in names}


def compare_with_shuffled(observed: float, values: Array, chance: float) -> PermutationScore:
    """Compare an observed score with shuffled ones; p = (1 + those at least as high) / (1 + all of them)."""
    count = len(values)
    if count == 0:
        nan = float("nan")
        return PermutationScore(observed, nan, nan, nan, nan, chance, values)
    p = (1 + int((values >= observed - 1e-12).sum())) / (1 + count)
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / count**0.5 if count > 1 else float("inf")
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, max(count - 1, 1))) * error
    return PermutationScore(observed, p, mean, mean - half, mean + half, chance, values)
