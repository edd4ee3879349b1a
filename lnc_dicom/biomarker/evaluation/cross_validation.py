"""Nested cross-validation: every row is predicted by regressions that have not seen its patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import norm

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.evaluation.design import (
    LEARNED,
    Columns,
    Design,
    Kind,
    Rows,
    Task,
    columns_of,
    rows_of,
    tasks_of,
)
from lnc_dicom.biomarker.evaluation.folds import patient_folds, row_folds, strata_of
from lnc_dicom.biomarker.evaluation.inputs import Array, Attainable, Ints, Leak, Options, Seen, Source
from lnc_dicom.biomarker.evaluation.regressors import LEVEL, Expected, classify, regress, rotate
from lnc_dicom.errors import BadCohort

_FEWEST_GROUPS = 2
_INNER = 7919
"""Added to a seed, so that inner folds are not drawn like the outer ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Out-of-fold predictions of m rows, r times.

    value, half
        Expected value and half-width of its 90 % interval, (r, m); nan for the disease.
    probability
        Of each class, (r, m, classes); of each number of stems for the stems; no classes for FA and CBF.
    chosen
        Index of the class that is answered, (r, m).
    """

    value: Array = field(repr=False)
    half: Array = field(repr=False)
    probability: Array = field(repr=False)
    chosen: Ints = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One task: its rows, the classes there are (numbers of stems, indices of groups) and the predictions."""

    task: Task
    rows: Rows
    classes: tuple[int, ...]
    predicted: Mapping[Design, Predicted]


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What all tasks share: the cohort, what the network says, the folds."""

    cohort: Cohort
    source: Source
    options: Options
    group_names: tuple[str, ...]
    strata: tuple[str, ...]

    @classmethod
    def of(cls, cohort: Cohort, source: Source, options: Options) -> Setting:
        """Put together what is shared. Raises BadCohort where a category has fewer patients than there are folds."""
        names = options.group_names or cohort.group_names
        counts = np.bincount(cohort.groups(names), minlength=len(names))
        if len(names) < _FEWEST_GROUPS or counts.min() < options.folds:
            raise BadCohort(
                f"{options.folds} folds need two categories or more, of {options.folds} patients or more each"
            )
        groups, sites = [p.group for p in cohort.patients], [p.site for p in cohort.patients]
        strata = strata_of(groups, sites, options.folds)
        return cls(cohort, source, options, names, tuple(strata))

    @property
    def leak(self) -> bool:
        """Whether rows of a patient are split on purpose."""
        return self.options.leak is not Leak.NONE

    def patients(self, repeat: int) -> Ints:
        """Fold of every patient."""
        return patient_folds(self.strata, self.options.folds, self.options.seed + repeat)

    def views(self, train: Ints, test: Ints) -> tuple[Seen, ...]:
        """Give what the network says in a fold."""
        if isinstance(self.source, Seen):
            return (self.source,)
        return (self.source(train, test),) if callable(self.source) else tuple(self.source)

    @property
    def frozen(self) -> bool:
        """Whether one network, trained on other patients, serves all folds."""
        return not callable(self.source)

    @property
    def view_count(self) -> int:
        """How many views of every patient there are."""
        return 1 if isinstance(self.source, Seen) or callable(self.source) else len(self.source)

    def rows(self, task: Task) -> Rows:
        """Rows of a task."""
        return rows_of(task, self.cohort, self.group_names, self.options.leak, self.view_count)

    def inner(self, subject: Ints, repeat: int) -> Ints:
        """Inner fold of training rows."""
        seed = self.options.seed + repeat + _INNER
        return row_folds(subject, self.strata, self.options.inner, seed, leak=self.leak)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One outer fold of one task: which rows train and which are predicted, and the inner folds of the former."""

    train: Ints
    test: Ints
    inner: Ints


def split_of(setting: Setting, rows: Rows, folds: Ints, number: int, repeat: int) -> Split:
    """Rows of one outer fold; `folds` are those of the rows."""
    train, test = np.flatnonzero(folds != number), np.flatnonzero(folds == number)
    return Split(train, test, setting.inner(rows.subject[train], repeat))


def folds_of_rows(setting: Setting, rows: Rows, repeat: int) -> Ints:
    """Outer fold of every row."""
    if setting.leak:
        return row_folds(rows.subject, setting.strata, setting.options.folds, setting.options.seed + repeat, leak=True)
    return setting.patients(repeat)[rows.subject]


def classes_of(task: Task, rows: Rows, group_names: Sequence[str]) -> tuple[int, ...]:
    """Every number of stems from the least to the most that was read; every group; nothing for FA and CBF."""
    match task.kind:
        case Kind.STEMS:
            return tuple(range(int(rows.y.min()), int(rows.y.max()) + 1))
        case Kind.DISEASE:
            return tuple(range(len(group_names)))
        case _:
            return ()


def cross_validate(setting: Setting, oracle: Attainable | None, progress: Callable[[str], None]) -> tuple[Outcome, ...]:
    """Predict every task with every design, out of fold, as often as the options say."""
    options = setting.options
    tasks = tasks_of(setting.cohort)
    rows = {task: setting.rows(task) for task in tasks}
    designs = (Design.MEAN, *LEARNED)
    found = {
        (t, d): _blank(options.repeats, len(rows[t].y), len(classes_of(t, rows[t], setting.group_names)))
        for t in tasks
        for d in designs
    }
    for repeat in range(options.repeats):
        patients = setting.patients(repeat)
        for number in range(options.folds):
            progress(f"repeat {repeat + 1} of {options.repeats}, fold {number + 1} of {options.folds}")
            views = setting.views(np.flatnonzero(patients != number), np.flatnonzero(patients == number))
            for task in tasks:
                split = split_of(setting, rows[task], folds_of_rows(setting, rows[task], repeat), number, repeat)
                for design, part in predict_fold(setting, task, rows[task], split, views, designs).items():
                    _fill(found[task, design], repeat, split.test, part)
    outcomes = []
    for task in tasks:
        predicted = {d: found[task, d] for d in designs}
        if oracle is not None:
            predicted[Design.ORACLE] = consult(setting, task, rows[task], oracle)
        outcomes.append(Outcome(task, rows[task], classes_of(task, rows[task], setting.group_names), predicted))
    return tuple(outcomes)


def _blank(repeats: int, lines: int, classes: int) -> Predicted:
    shape = (repeats, lines)
    return Predicted(
        np.full(shape, np.nan), np.full(shape, np.nan), np.zeros((*shape, classes)), np.zeros(shape, np.int64)
    )


def _fill(whole: Predicted, repeat: int, test: Ints, part: Predicted) -> None:
    for name in ("value", "half", "probability", "chosen"):
        getattr(whole, name)[repeat, test] = getattr(part, name)[0]


def predict_fold(
    setting: Setting, task: Task, rows: Rows, split: Split, views: Sequence[Seen], designs: Sequence[Design]
) -> dict[Design, Predicted]:
    """Predict the test rows of one fold with several designs; the deep features are rotated once."""
    classes = classes_of(task, rows, setting.group_names)
    rotated: dict[int, tuple[Array, Array]] = {}
    parts: dict[Design, Predicted] = {}
    for design in designs:
        if design is Design.MEAN:
            parts[design] = _constant(rows.y, split, classes)
            continue
        columns = columns_of(task, design, rows, setting.cohort, views)
        width = columns.plain.shape[1]
        if width not in rotated:
            rotated[width] = rotate(columns.plain[split.train], columns.plain[split.test])
        train, test = (
            Columns(plain, columns.strong[lines])
            for plain, lines in zip(rotated[width], (split.train, split.test), strict=True)
        )
        weights = setting.options.prior_weights if width else (1.0,)
        parts[design] = _learned(rows.y, split, train, test, weights, classes, task.kind)
    return parts


def _learned(
    y: Array,
    split: Split,
    train: Columns,
    test: Columns,
    weights: Sequence[float],
    classes: tuple[int, ...],
    kind: Kind,
) -> Predicted:
    if kind is Kind.DISEASE:
        probability = classify(train, y[split.train].astype(int), split.inner, test, weights, len(classes))
        return of_probability(probability)
    return of_expected(regress(train, y[split.train, None], split.inner, test, weights), classes)


def of_probability(probability: Array) -> Predicted:
    """Answer with the likeliest class of probabilities (m, classes)."""
    unknown = np.full((1, len(probability)), np.nan)
    return Predicted(unknown, unknown, probability[None], probability.argmax(axis=1)[None])


def of_expected(expected: Expected, classes: tuple[int, ...], target: int = 0) -> Predicted:
    """Answer with a value, and for counts with the probabilities of a normal distribution cut between the numbers."""
    value = expected.value[:, target]
    half = np.full_like(value, expected.half[target])
    probability = discretised(value, float(expected.sd[target]), classes)
    chosen = probability.argmax(axis=1) if classes else np.zeros(len(value), np.int64)
    return Predicted(value[None], half[None], probability[None], chosen[None])


def discretised(mean: Array, sd: float, classes: tuple[int, ...]) -> Array:
    """Probability of each whole number under normal distributions, (m, classes); the ends hold the tails."""
    if not classes:
        return np.zeros((len(mean), 0))
    limits = np.array([-np.inf, *(c + 0.5 for c in classes[:-1]), np.inf])
    return np.asarray(np.diff(norm.cdf(limits, mean[:, None], max(sd, 1e-6)), axis=1))


def _constant(y: Array, split: Split, classes: tuple[int, ...]) -> Predicted:
    """Predict the mean of the training rows, and the shares of the classes in the whole cohort.

    The shares are taken in hindsight, in favour of the baseline: in folds balanced for the groups, the class that is
    most frequent among the training rows is by construction the rarest among the test rows.
    """
    count = len(split.test)
    value = np.full((1, count), y[split.train].mean())
    half = np.full((1, count), _centred_quantile(y[split.train]))
    shares = np.array([(y == c).mean() for c in classes])
    probability = np.broadcast_to(shares, (1, count, len(classes))).copy()
    most = int(np.argmax(shares)) if classes else 0
    return Predicted(value, half, probability, np.full((1, count), most))


def _centred_quantile(y: Array) -> float:
    return float(np.quantile(np.abs(y - y.mean()), LEVEL))


def consult(setting: Setting, task: Task, rows: Rows, oracle: Attainable) -> Predicted:
    """Ask the oracle about the rows; it has no interval.

    It predicts what a map would show; what is measured in the segmented region lies a little above or below that in
    everybody (partial volume), so its FA and CBF are shifted to the mean of what was measured, in its favour.
    """
    classes = classes_of(task, rows, setting.group_names)
    subject, side = rows.subject, np.maximum(rows.side, 0)
    unknown = np.full((1, len(subject)), np.nan)
    if task.kind is Kind.DISEASE:
        order = [oracle.group_names.index(name) for name in setting.group_names]
        return of_probability(oracle.groups[subject][:, order])
    if task.kind is Kind.MAP:
        sides = oracle.maps.reshape(len(oracle.maps), 2, -1, oracle.maps.shape[-1])
        value = sides[subject, side, task.region, task.quantity][None]
        value = value + (rows.y - value).mean()
        return Predicted(value, unknown, np.zeros((1, len(subject), 0)), np.zeros((1, len(subject)), np.int64))
    chosen = np.clip(oracle.stems_class[subject, side], classes[0], classes[-1]) - classes[0]
    sure = np.eye(len(classes))[chosen]
    return Predicted(oracle.stems[subject, side][None], unknown, sure[None], np.asarray(chosen[None], np.int64))
