"""Labels shuffled between patients: how well the same procedure does where nothing can be learned.

In the honest protocol labels change places only within an outer fold, so that every fold keeps its balance and the
shuffled scores are neither helped nor hurt by it; the two sides of a patient move together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats

from lnc_dicom.biomarker.evaluation.cross_validation import (
    Outcome,
    Predicted,
    Setting,
    Split,
    classes_of,
    folds_of_rows,
    of_expected,
    of_probability,
    split_of,
)
from lnc_dicom.biomarker.evaluation.design import Columns, Design, Kind, Rows, Task, columns_of
from lnc_dicom.biomarker.evaluation.folds import row_folds
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
"""Of the interval of the shuffled mean: honest data may set the alarm off once in a thousand times."""


@dataclass(frozen=True, slots=True, eq=False)
class Shuffled:
    """One score: as observed, and with shuffled labels; p counts the observed one among the shuffled.

    mean, low, high
        Mean of the shuffled scores and its 99.9 % interval. chance: what it should not exceed.
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
        """Whether shuffled labels could be predicted: then something leaks."""
        return self.low > self.chance


@dataclass(frozen=True, slots=True, eq=False)
class Permutation:
    """Scores of one task, the first of them the one that counts."""

    kind: Kind
    count: int
    scores: Mapping[str, Shuffled]


def permute(setting: Setting, task: Task, progress: Callable[[str], None]) -> Permutation:
    """Repeat the first cross-validation of the model with shuffled labels, as often as the options say."""
    rows = setting.rows(task)
    folds = folds_of_rows(setting, rows, 0)
    orders = _orders(setting)
    labels = np.stack([_moved(rows, order) for order in orders])
    classes = classes_of(task, rows, setting.group_names)
    blank = np.full(labels.shape, np.nan)
    found = Predicted(blank, blank, np.zeros((*labels.shape, len(classes))), np.zeros(labels.shape, np.int64))
    patients = setting.patients(0)
    for number in range(setting.options.folds):
        progress(f"shuffled labels, {task.kind.value}, fold {number + 1} of {setting.options.folds}")
        views = setting.views(np.flatnonzero(patients != number), np.flatnonzero(patients == number))
        columns = columns_of(task, Design.MODEL, rows, setting.cohort, views)
        split = split_of(setting, rows, folds, number, 0)
        for i, part in enumerate(_predict(setting, task, rows, split, columns, labels, orders)):
            for name in ("value", "probability", "chosen"):
                getattr(found, name)[i, split.test] = getattr(part, name)[0]
    scores = [_scores(setting, Outcome(task, replace(rows, y=y), classes, {}), found, i) for i, y in enumerate(labels)]
    return Permutation(task.kind, len(orders) - 1, _compare(scores, len(classes)))


def _orders(setting: Setting) -> Ints:
    """Whose labels each patient gets, (1 + permutations, n): first their own."""
    count = len(setting.cohort)
    chance = np.random.default_rng(setting.options.seed)
    orders = np.tile(np.arange(count), (1 + setting.options.permutations, 1))
    fold = np.zeros(count, np.int64) if setting.leak else setting.patients(0)
    for order in orders[1:]:
        for number in np.unique(fold):
            members = np.flatnonzero(fold == number)
            order[members] = chance.permutation(members)
    return orders


def _moved(rows: Rows, order: Ints) -> Array:
    """Give each row the label of the same side of another patient."""
    table = np.zeros((len(order), 2))
    table[rows.subject, np.maximum(rows.side, 0)] = rows.y
    return np.asarray(table[order[rows.subject], np.maximum(rows.side, 0)])


def _predict(
    setting: Setting, task: Task, rows: Rows, split: Split, columns: Columns, labels: Array, orders: Ints
) -> list[Predicted]:
    """Predict the test rows of one fold with every set of labels."""
    classes = classes_of(task, rows, setting.group_names)
    plain = rotate(columns.plain[split.train], columns.plain[split.test])
    train = Columns(plain[0], columns.strong[split.train])
    test = Columns(plain[1], columns.strong[split.test])
    weights = setting.options.prior_weights
    if task.kind is not Kind.DISEASE:
        expected = regress(train, labels[:, split.train].T, split.inner, test, weights)
        return [of_expected(expected, classes, i) for i in range(len(labels))]
    parts = []
    for y, order in zip(labels, orders, strict=True):
        strata = [setting.strata[i] for i in order]
        inner = row_folds(
            rows.subject[split.train], strata, setting.options.inner, setting.options.seed, leak=setting.leak
        )
        parts.append(of_probability(classify(train, y[split.train].astype(int), inner, test, weights, len(classes))))
    return parts


def _scores(setting: Setting, outcome: Outcome, found: Predicted, place: int) -> dict[str, float]:
    """Every score of one set of labels, the one that counts first."""
    one = slice(place, place + 1)
    predicted = Predicted(found.value[one], found.half[one], found.probability[one], found.chosen[one])
    count = len(setting.cohort)
    everyone = np.ones((1, count))
    of = confusion_statistics(confusion_parts(outcome, predicted, count), outcome.task.kind)
    if outcome.task.kind is Kind.STEMS:
        errors = regression_statistics(error_parts(outcome, predicted, count), intervals=False)
        wanted = {"quadratic_kappa": of["quadratic_kappa"], "accuracy": of["accuracy"], "r2": errors["r2"]}
    else:
        area = pairs(outcome, predicted, count)
        wanted = {"balanced_accuracy": of["balanced_accuracy"], "accuracy": of["accuracy"], "macro_auc": area}
    return {name: float(statistic(everyone)[0]) for name, statistic in wanted.items()} | {
        "most frequent": float(np.bincount(outcome.rows.y.astype(int)).max() / len(outcome.rows.y))
    }


def _compare(scores: list[dict[str, float]], classes: int) -> dict[str, Shuffled]:
    chance = {"quadratic_kappa": 0.0, "r2": 0.0, "macro_auc": 0.5, "balanced_accuracy": 1 / classes}
    chance["accuracy"] = scores[0]["most frequent"]
    names = [n for n in scores[0] if n != "most frequent"]
    return {n: compare(scores[0][n], np.array([s[n] for s in scores[1:]]), chance[n]) for n in names}


def compare(observed: float, values: Array, chance: float) -> Shuffled:
    """Compare an observed score with shuffled ones; p = (1 + those at least as good) / (1 + all of them)."""
    count = len(values)
    if count == 0:
        nan = float("nan")
        return Shuffled(observed, nan, nan, nan, nan, chance, values)
    p = (1 + int((values >= observed - 1e-12).sum())) / (1 + count)
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / count**0.5 if count > 1 else float("inf")
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, max(count - 1, 1))) * error
    return Shuffled(observed, p, mean, mean - half, mean + half, chance, values)
