"""A cohort and the network's outputs for it → the samples of each regression, and their design matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from lnc_dicom.biomarker.cohort import MAPS, Cohort
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints, NetworkOutputs


class Method(Enum):
    """What a prediction is made from."""

    MEAN = "mean"
    AGE = "age + sex"
    VOLUMES = "volumetry + age + sex"
    MODEL = "model"
    MODEL_AGE = "model + age + sex"
    ORACLE = "oracle"


FITTED = (Method.AGE, Method.VOLUMES, Method.MODEL, Method.MODEL_AGE)
"""Methods that are regressions, fitted in every fold."""
DEEP = (Method.MODEL, Method.MODEL_AGE)
"""Methods that use the network."""


class TaskKind(Enum):
    """What is predicted."""

    MAP = "map"
    STEMS = "stems"
    DISEASE = "disease"


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to predict: the mean of a map in one region, the number of stems, or the disease category.

    region, quantity
        Indices into the cohort's regions and `cohort.MAPS`; 0 where they do not apply.
    """

    kind: TaskKind
    region: int = 0
    quantity: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The m samples of one task.

    subject, side
        Index of the patient, (m,), and side (0 left, 1 right, -1 both), (m,).
    y
        Target, (m,): FA, CBF, number of stems, or index of the disease category.
    """

    subject: Ints
    side: Ints
    y: Array = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class DesignMatrix:
    """Columns of a regression, in two blocks.

    features
        Deep features and all outputs of the network, (m, p); every column has the same prior weight.
    predictors
        Outputs of the network about the task itself, and covariates, (m, q); they may get a larger prior weight.
    """

    features: Array = field(repr=False)
    predictors: Array = field(repr=False)


def tasks_of(cohort: Cohort) -> tuple[Task, ...]:
    """FA and CBF of every region with any measurement, then the stems, then the disease."""
    per_region = cohort.measured.reshape(len(cohort) * 2, len(cohort.regions), len(MAPS))
    known = np.isfinite(per_region).sum(axis=0) > 0
    maps = [Task(TaskKind.MAP, r, q) for q in range(len(MAPS)) for r in range(len(cohort.regions)) if known[r, q]]
    return (*maps, Task(TaskKind.STEMS), Task(TaskKind.DISEASE))


def samples_of(task: Task, cohort: Cohort, group_names: Sequence[str]) -> Samples:
    """One sample per patient and side, for the disease one per patient; sides without a measurement are left out."""
    sides = np.array([-1] if task.kind is TaskKind.DISEASE else [0, 1])
    subject, column = (a.ravel() for a in np.indices((len(cohort), len(sides))))
    y = _targets(task, cohort, group_names)[subject, column]
    known = np.isfinite(y)
    return Samples(subject[known].astype(np.int64), sides[column][known].astype(np.int64), y[known])


def _targets(task: Task, cohort: Cohort, group_names: Sequence[str]) -> Array:
    """Targets per patient and side, (n, 2), or per patient, (n, 1)."""
    if task.kind is TaskKind.MAP:
        sides = cohort.measured.reshape(len(cohort), 2, len(cohort.regions), len(MAPS))
        return np.asarray(sides[:, :, task.region, task.quantity])
    if task.kind is TaskKind.STEMS:
        return cohort.stems.astype(float)
    return cohort.groups(group_names)[:, None].astype(float)


def design_matrix(
    task: Task, method: Method, samples: Samples, cohort: Cohort, outputs: NetworkOutputs | None
) -> DesignMatrix:
    """Design matrix of a task; without columns for methods that are not regressions.

    outputs
        Needed by the methods in `DEEP` only.
    """
    covariates = cohort.covariates[samples.subject]
    empty = np.zeros((len(samples.subject), 0))
    if method is Method.AGE:
        return DesignMatrix(empty, covariates)
    if method is Method.VOLUMES:
        return DesignMatrix(empty, np.concatenate([_volumes(samples, cohort), covariates], axis=1))
    if method in DEEP and outputs is not None:
        deep = _network_columns(task, samples, len(cohort.regions), outputs)
        added = covariates if method is Method.MODEL_AGE else empty
        return DesignMatrix(deep.features, np.concatenate([deep.predictors, added], axis=1))
    return DesignMatrix(empty, empty)


def _volumes(samples: Samples, cohort: Cohort) -> Array:
    """Volumes in mL, the sample's own side first."""
    regions, ventricles = cohort.volumes[:, :-2], cohort.volumes[:, -2:]
    by_side = np.concatenate([regions.reshape(len(cohort), 2, -1), ventricles[:, :, None]], axis=2)
    return _own_side_first(by_side, samples).reshape(len(samples.subject), -1)


def _own_side_first(values: Array, samples: Samples) -> Array:
    """(n, 2, …) → (m, 2, …): own side and other side; for samples of both sides, mean and absolute difference.

    The difference has no sign because either side may be the affected one; the network's own head does the same.
    """
    of_subject = values[samples.subject]
    right = (samples.side == 1).reshape(-1, *(1,) * (values.ndim - 1))
    both = (samples.side == -1).reshape(right.shape)
    own_first = np.where(right, of_subject[:, ::-1], of_subject)
    symmetric = np.stack([of_subject.mean(axis=1), np.abs(of_subject[:, 0] - of_subject[:, 1])], axis=1)
    return np.asarray(np.where(both, symmetric, own_first))


def _network_columns(task: Task, samples: Samples, regions: int, outputs: NetworkOutputs) -> DesignMatrix:
    """Deep features and outputs of the network; those about the task itself are the predictors."""
    patients, count = len(outputs.features), len(samples.subject)
    features = _own_side_first(outputs.features.reshape(patients, 2, regions, -1), samples)
    maps = _own_side_first(outputs.maps.reshape(patients, 2, regions, -1), samples)
    stems = _own_side_first(outputs.stems.reshape(patients, 2, 1), samples)[..., 0]
    logits = outputs.logits[samples.subject]
    match task.kind:
        case TaskKind.MAP:
            deep, predictors = features[:, 0, task.region], maps[:, 0, task.region]
        case TaskKind.STEMS:
            deep, predictors = features[:, 0].reshape(count, -1), stems
        case TaskKind.DISEASE:
            sides = 2 if (samples.side == -1).any() else 1
            deep, predictors = features[:, :sides].reshape(count, -1), logits
    return DesignMatrix(np.concatenate([deep, maps.reshape(count, -1), stems, logits], axis=1), predictors)
