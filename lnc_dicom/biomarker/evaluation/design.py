"""A cohort and what the network says of it → the rows of each regression, and its columns for each design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from lnc_dicom.biomarker.cohort import MAPS, Cohort
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints, Leak, Seen


class Design(Enum):
    """What a prediction is made from."""

    MEAN = "mean"
    AGE = "age + sex"
    VOLUMES = "volumetry + age + sex"
    MODEL = "model"
    MODEL_AGE = "model + age + sex"
    ORACLE = "oracle"


LEARNED = (Design.AGE, Design.VOLUMES, Design.MODEL, Design.MODEL_AGE)
DEEP = (Design.MODEL, Design.MODEL_AGE)
"""Designs that use the network."""


class Kind(Enum):
    """What is predicted."""

    MAP = "map"
    STEMS = "stems"
    DISEASE = "disease"


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to predict: a map's mean in one region, the stems, or the disease.

    region, quantity
        Indices into the cohort's regions and `dataset.MAPS`; 0 where they do not matter.
    """

    kind: Kind
    region: int = 0
    quantity: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one task: the patient, the side (0 left, 1 right; -1 both) and the view of each, and what is true.

    y
        (m,) FA, CBF or stems; the index of the group.
    """

    subject: Ints
    side: Ints
    view: Ints
    y: Array = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns of one design, (m, p): many that count little, and few that may count more."""

    plain: Array = field(repr=False)
    strong: Array = field(repr=False)


def tasks_of(cohort: Cohort) -> tuple[Task, ...]:
    """FA and CBF of every region that was measured at all, then the stems, then the disease."""
    per_region = cohort.measured.reshape(len(cohort) * 2, len(cohort.regions), len(MAPS))
    known = np.isfinite(per_region).sum(axis=0) > 0
    maps = [Task(Kind.MAP, r, q) for q in range(len(MAPS)) for r in range(len(cohort.regions)) if known[r, q]]
    return (*maps, Task(Kind.STEMS), Task(Kind.DISEASE))


def rows_of(task: Task, cohort: Cohort, group_names: Sequence[str], leak: Leak, views: int) -> Rows:
    """One row per patient and side; for the disease one per patient; unmeasured sides are left out.

    With a leak of sides the disease has a row per side as well; with one of slices every row is there once per view.
    """
    count = len(cohort)
    halved = task.kind is not Kind.DISEASE or leak is Leak.SIDES
    sides = (0, 1) if halved else (-1,)
    many = views if leak is Leak.SLICES else 1
    shape = (count, len(sides), many)
    subject, place, view = (a.ravel() for a in np.indices(shape))
    side = np.array(sides)[place]
    y = _truth(task, cohort, group_names)[subject, place if task.kind is not Kind.DISEASE else 0]
    kept = np.isfinite(y)
    subject, side, view = (np.asarray(a[kept], np.int64) for a in (subject, side, view))
    return Rows(subject, side, view, y[kept])


def _truth(task: Task, cohort: Cohort, group_names: Sequence[str]) -> Array:
    """Give what is true, (n, 2) by side, or (n, 1)."""
    if task.kind is Kind.MAP:
        sides = cohort.measured.reshape(len(cohort), 2, len(cohort.regions), len(MAPS))
        return np.asarray(sides[:, :, task.region, task.quantity])
    if task.kind is Kind.STEMS:
        return cohort.stems.astype(float)
    return cohort.groups(group_names)[:, None].astype(float)


def columns_of(task: Task, design: Design, rows: Rows, cohort: Cohort, views: Sequence[Seen]) -> Columns:
    """Columns of one design for the rows of a task; empty for designs that are not learned."""
    known = cohort.covariates[rows.subject]
    empty = np.zeros((len(rows.subject), 0))
    match design:
        case Design.AGE:
            return Columns(empty, known)
        case Design.VOLUMES:
            return Columns(empty, np.concatenate([_volumes(rows, cohort), known], axis=1))
        case Design.MODEL | Design.MODEL_AGE:
            deep = _seen_columns(task, rows, len(cohort.regions), views)
            strong = deep.strong if design is Design.MODEL else np.concatenate([deep.strong, known], axis=1)
            return Columns(deep.plain, strong)
        case _:
            return Columns(empty, empty)


def _volumes(rows: Rows, cohort: Cohort) -> Array:
    """Volumes in mL, the row's own side first."""
    regions, ventricles = cohort.volumes[:, :-2], cohort.volumes[:, -2:]
    by_side = np.concatenate([regions.reshape(len(cohort), 2, -1), ventricles[:, :, None]], axis=2)
    return _own_side_first(by_side, rows).reshape(len(rows.subject), -1)


def _own_side_first(values: Array, rows: Rows) -> Array:
    """(n, 2, …) → (m, 2, …): own side and other side; for rows of both sides, mean and absolute difference.

    The difference has no sign because either side may be the affected one; the network's own head does the same.
    """
    mine = values[rows.subject]
    right = (rows.side == 1).reshape(-1, *(1,) * (values.ndim - 1))
    both = (rows.side == -1).reshape(right.shape)
    turned = np.where(right, mine[:, ::-1], mine)
    even = np.stack([mine.mean(axis=1), np.abs(mine[:, 0] - mine[:, 1])], axis=1)
    return np.asarray(np.where(both, even, turned))


def _seen_columns(task: Task, rows: Rows, regions: int, views: Sequence[Seen]) -> Columns:
    """Deep features and the heads' predictions; those about the task itself may count more."""
    parts = [_of_view(task, rows, regions, seen) for seen in views]
    plain, strong = (np.stack([getattr(p, name) for p in parts]) for name in ("plain", "strong"))
    line = np.arange(len(rows.subject))
    return Columns(plain[rows.view, line], strong[rows.view, line])


def _of_view(task: Task, rows: Rows, regions: int, seen: Seen) -> Columns:
    count, lines = len(seen.features), len(rows.subject)
    features = _own_side_first(seen.features.reshape(count, 2, regions, -1), rows)
    maps = _own_side_first(seen.maps.reshape(count, 2, regions, -1), rows)
    stems = _own_side_first(seen.stems.reshape(count, 2, 1), rows)[..., 0]
    said = [maps.reshape(lines, -1), stems, seen.logits[rows.subject]]
    match task.kind:
        case Kind.MAP:
            deep, strong = features[:, 0, task.region], maps[:, 0, task.region]
        case Kind.STEMS:
            deep, strong = features[:, 0].reshape(lines, -1), stems
        case _:
            sides = 2 if (rows.side == -1).any() else 1
            deep, strong = features[:, :sides].reshape(lines, -1), seen.logits[rows.subject]
    return Columns(np.concatenate([deep, *said], axis=1), strong)
