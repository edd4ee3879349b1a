"""Nested cross-validation: every sample is predicted by regressions fitted without its patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from lnc_dicom.biomarker.calibration import COVERAGE, count_probabilities
from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.evaluation.design import (
    FITTED,
    DesignMatrix,
    Method,
    Samples,
    Task,
    TaskKind,
    design_matrix,
    samples_of,
    tasks_of,
)
from lnc_dicom.biomarker.evaluation.folds import patient_folds, sample_folds, strata_of
from lnc_dicom.biomarker.evaluation.inputs import (
    Array,
    EvaluationOptions,
    Ints,
    NetworkOutputs,
    OraclePredictions,
    OutputSource,
)
from lnc_dicom.biomarker.evaluation.regressors import Expected, classify, regress, rotate
from lnc_dicom.errors import BadCohort

_FEWEST_GROUPS = 2
_INNER = 7919
"""Added to a seed, so that the inner folds differ from the outer ones."""


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFoldPredictions:
    """Out-of-fold predictions of m samples, r times.

    value, half_width
        Expected value and half-width of its 90 % interval, (r, m); nan for the disease.
    probability
        Of each class, (r, m, classes): numbers of stems or disease categories; FA and CBF have no classes.
    class_index
        Index of the predicted class, (r, m).
    """

    value: Array = field(repr=False)
    half_width: Array = field(repr=False)
    probability: Array = field(repr=False)
    class_index: Ints = field(repr=False)

    @classmethod
    def blank(cls, repeats: int, samples: int, classes: int) -> OutOfFoldPredictions:
        """Arrays of the right shape, to be filled fold by fold."""
        shape = (repeats, samples)
        return cls(
            np.full(shape, np.nan), np.full(shape, np.nan), np.zeros((*shape, classes)), np.zeros(shape, np.int64)
        )

    def fill(self, repeat: int, test: Ints, fold: OutOfFoldPredictions) -> None:
        """Write the predictions of one fold into the rows of its test samples."""
        for array in fields(self):
            getattr(self, array.name)[repeat, test] = getattr(fold, array.name)[0]


@dataclass(frozen=True, slots=True, eq=False)
class TaskResult:
    """One task: its samples, its classes (numbers of stems, or indices of the groups) and the predictions by method."""

    task: Task
    samples: Samples
    classes: tuple[int, ...]
    predicted: Mapping[Method, OutOfFoldPredictions]


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What all tasks share: the cohort, the outputs of the network, the folds."""

    cohort: Cohort
    source: OutputSource
    options: EvaluationOptions
    group_names: tuple[str, ...]
    strata: tuple[str, ...]

    @classmethod
    def of(cls, cohort: Cohort, source: OutputSource, options: EvaluationOptions) -> Setting:
        """Stratify a cohort. Raises BadCohort if a category has fewer patients than there are folds."""
        names = options.group_names or cohort.group_names
        counts = np.bincount(cohort.groups(names), minlength=len(names))
        if len(names) < _FEWEST_GROUPS or counts.min() < options.folds:
            raise BadCohort(
                f"{options.folds} folds need at least two categories with at least {options.folds} patients each"
            )
        groups, sites = [p.group for p in cohort.patients], [p.site for p in cohort.patients]
        strata = strata_of(groups, sites, options.folds)
        return cls(cohort, source, options, names, tuple(strata))

    def patients(self, repeat: int) -> Ints:
        """Fold of every patient."""
        return patient_folds(self.strata, self.options.folds, self.options.seed + repeat)

    def outputs(self, train: Ints, test: Ints) -> NetworkOutputs:
        """Give the outputs of the network in a fold with these training and test patients."""
        return self.source if isinstance(self.source, NetworkOutputs) else self.source(train, test)

    @property
    def frozen(self) -> bool:
        """Whether one network, trained on other patients, is used in all folds."""
        return isinstance(self.source, NetworkOutputs)

    def samples(self, task: Task) -> Samples:
        """All samples of a task."""
        return samples_of(task, self.cohort, self.group_names)

    def outer_folds(self, samples: Samples, repeat: int) -> Ints:
        """Outer fold of every sample, (m,)."""
        return np.asarray(self.patients(repeat)[samples.subject])

    def inner_folds(self, subject: Ints, repeat: int) -> Ints:
        """Inner fold of training samples, (m,), given the patient of each."""
        return sample_folds(subject, self.strata, self.options.inner, self.options.seed + repeat + _INNER)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One outer fold of one task: which samples train and which are predicted, and the inner folds of the former."""

    train: Ints
    test: Ints
    inner: Ints


def split_of(setting: Setting, samples: Samples, folds: Ints, number: int, repeat: int) -> Split:
    """Split the samples by one outer fold; `folds` is the outer fold of every sample."""
    train, test = np.flatnonzero(folds != number), np.flatnonzero(folds == number)
    return Split(train, test, setting.inner_folds(samples.subject[train], repeat))


def classes_of(task: Task, samples: Samples, group_names: Sequence[str]) -> tuple[int, ...]:
    """Every number of stems from the smallest to the largest count; every group; none for FA and CBF."""
    match task.kind:
        case TaskKind.STEMS:
            return tuple(range(int(samples.y.min()), int(samples.y.max()) + 1))
        case TaskKind.DISEASE:
            return tuple(range(len(group_names)))
        case _:
            return ()


def cross_validate(
    setting: Setting, oracle: OraclePredictions | None, progress: Callable[[str], None]
) -> tuple[TaskResult, ...]:
    """Predict every task with every method out of fold, once per repeat."""
    options = setting.options
    tasks = tasks_of(setting.cohort)
    samples = {task: setting.samples(task) for task in tasks}
    methods = (Method.MEAN, *FITTED)
    found = {
        (t, m): OutOfFoldPredictions.blank(
            options.repeats, len(samples[t].y), len(classes_of(t, samples[t], setting.group_names))
        )
        for t in tasks
        for m in methods
    }
    for repeat in range(options.repeats):
        patients = setting.patients(repeat)
        for number in range(options.folds):
            progress(f"repeat {repeat + 1} of {options.repeats}, fold {number + 1} of {options.folds}")
            outputs = setting.outputs(np.flatnonzero(patients != number), np.flatnonzero(patients == number))
            for task in tasks:
                folds = setting.outer_folds(samples[task], repeat)
                split = split_of(setting, samples[task], folds, number, repeat)
                for method, part in predict_fold(setting, task, samples[task], split, outputs, methods).items():
                    found[task, method].fill(repeat, split.test, part)
    results = []
    for task in tasks:
        predicted = {m: found[task, m] for m in methods}
        if oracle is not None:
            predicted[Method.ORACLE] = oracle_predictions(setting, task, samples[task], oracle)
        results.append(TaskResult(task, samples[task], classes_of(task, samples[task], setting.group_names), predicted))
    return tuple(results)


def predict_fold(
    setting: Setting,
    task: Task,
    samples: Samples,
    split: Split,
    outputs: NetworkOutputs,
    methods: Sequence[Method],
) -> dict[Method, OutOfFoldPredictions]:
    """Predict the test samples of one fold with several methods; the deep features are rotated once."""
    classes = classes_of(task, samples, setting.group_names)
    rotated: dict[int, tuple[Array, Array]] = {}
    parts: dict[Method, OutOfFoldPredictions] = {}
    for method in methods:
        if method is Method.MEAN:
            parts[method] = _constant(samples.y, split, classes)
            continue
        columns = design_matrix(task, method, samples, setting.cohort, outputs)
        width = columns.features.shape[1]
        if width not in rotated:
            rotated[width] = rotate(columns.features[split.train], columns.features[split.test])
        train, test = (
            DesignMatrix(features, columns.predictors[rows])
            for features, rows in zip(rotated[width], (split.train, split.test), strict=True)
        )
        weights = setting.options.prior_weights if width else (1.0,)
        parts[method] = _fitted(samples.y, split, train, test, weights, classes, task.kind)
    return parts


def _fitted(
    y: Array,
    split: Split,
    train: DesignMatrix,
    test: DesignMatrix,
    weights: Sequence[float],
    classes: tuple[int, ...],
    kind: TaskKind,
) -> OutOfFoldPredictions:
    if kind is TaskKind.DISEASE:
        probability = classify(train, y[split.train].astype(int), split.inner, test, weights, len(classes))
        return of_probability(probability)
    return of_expected(regress(train, y[split.train, None], split.inner, test, weights), classes)


def of_probability(probability: Array) -> OutOfFoldPredictions:
    """Predict the most likely class of probabilities (m, classes)."""
    unknown = np.full((1, len(probability)), np.nan)
    return OutOfFoldPredictions(unknown, unknown, probability[None], probability.argmax(axis=1)[None])


def of_expected(expected: Expected, classes: tuple[int, ...], target: int = 0) -> OutOfFoldPredictions:
    """Predict a value with its interval, and for counts the probabilities of a normal variable rounded to them."""
    value = expected.value[:, target]
    half = np.full_like(value, expected.half_width[target])
    if not classes:
        return OutOfFoldPredictions(
            value[None], half[None], np.zeros((1, len(value), 0)), np.zeros((1, len(value)), np.int64)
        )
    probability = count_probabilities(value, float(expected.sd[target]), classes)
    return OutOfFoldPredictions(value[None], half[None], probability[None], probability.argmax(axis=1)[None])


def _constant(y: Array, split: Split, classes: tuple[int, ...]) -> OutOfFoldPredictions:
    """Predict the mean of the training samples, and the shares of the classes in the whole cohort.

    The shares are those of the whole cohort, in favour of the baseline: in folds balanced over the groups, the most
    frequent class of the training samples is by construction the rarest of the test samples.
    """
    count = len(split.test)
    value = np.full((1, count), y[split.train].mean())
    half = np.full((1, count), np.quantile(np.abs(y[split.train] - y[split.train].mean()), COVERAGE))
    shares = np.array([(y == c).mean() for c in classes])
    probability = np.broadcast_to(shares, (1, count, len(classes))).copy()
    most = int(np.argmax(shares)) if classes else 0
    return OutOfFoldPredictions(value, half, probability, np.full((1, count), most))


def oracle_predictions(
    setting: Setting, task: Task, samples: Samples, oracle: OraclePredictions
) -> OutOfFoldPredictions:
    """Predictions of the oracle for the samples, without intervals.

    The oracle predicts the values of a map. Measurements in the segmented region are biased against those by partial
    volume, so its FA and CBF are shifted to the mean of the measurements, in its favour.
    """
    classes = classes_of(task, samples, setting.group_names)
    subject, side = samples.subject, np.maximum(samples.side, 0)
    unknown = np.full((1, len(subject)), np.nan)
    if task.kind is TaskKind.DISEASE:
        order = [oracle.group_names.index(name) for name in setting.group_names]
        return of_probability(oracle.groups[subject][:, order])
    if task.kind is TaskKind.MAP:
        sides = oracle.maps.reshape(len(oracle.maps), 2, -1, oracle.maps.shape[-1])
        value = sides[subject, side, task.region, task.quantity][None]
        value = value + (samples.y - value).mean()
        return OutOfFoldPredictions(
            value, unknown, np.zeros((1, len(subject), 0)), np.zeros((1, len(subject)), np.int64)
        )
    class_index = np.clip(oracle.stems_class[subject, side], classes[0], classes[-1]) - classes[0]
    certain = np.eye(len(classes))[class_index]
    return OutOfFoldPredictions(
        oracle.stems[subject, side][None], unknown, certain[None], np.asarray(class_index[None], np.int64)
    )
