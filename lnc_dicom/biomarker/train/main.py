"""One training from a cohort to a model that can be installed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedShuffleSplit

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.network import Architecture, BiomarkerNetwork, initialised_from, standardised
from lnc_dicom.biomarker.train.calibrate import calibrate, measure_skill
from lnc_dicom.biomarker.train.model_card import About, write_model
from lnc_dicom.biomarker.train.trainer import Epoch, Schedule, predict, train_network
from lnc_dicom.errors import BadCohort

KEPT_ASIDE = 0.2
"""Share of the patients that only watch the training and calibrate its results."""
FEWEST = 15
"""Fewer patients than this cannot be split so that every category is on both sides."""
_WATCHED = 200
"""So many simulated people are looked at after every epoch."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Where a model is written, under which name, and how it is trained."""

    out: Path
    about: About
    schedule: Schedule


def train_model(
    cohort: Cohort,
    plan: TrainingPlan,
    progress: Callable[[Epoch], None],
    start: BiomarkerNetwork | None = None,
    aside: Cohort | None = None,
) -> None:
    """Train, calibrate and write a model. Stop it and call it again to go on from the last epoch.

    aside
        Patients that only watch the training and calibrate its results; None: a fifth of the cohort.
    start
        A trained network to begin with; its weights are taken as far as regions and categories are the same.
    """
    names = plan.about.groups
    some, others = _parted(cohort, plan.schedule.seed) if aside is None else (cohort, aside)
    network = initialised_from(start, Architecture(cohort.regions, len(names))) if start else None
    run = train_network(some, others, names, plan.schedule, progress, network, plan.out / "training.pt")
    trained = run.network.to("cpu")
    with_covariates = predict(trained, others.crops, standardised(others.persons))
    without_covariates = predict(trained, others.crops)
    calibrations = tuple(
        calibrate(outputs, others, run.scales, names) for outputs in (with_covariates, without_covariates)
    )
    skill = measure_skill(with_covariates, others, run.scales, names)
    write_model(plan.out / "model", plan.about, run, calibrations, skill, plan.schedule, len(some))


def _parted(cohort: Cohort, seed: int) -> tuple[Cohort, Cohort]:
    training, watching = split(cohort, seed)
    return cohort.chosen(training), cohort.chosen(watching)


def pretrain_virtually(
    people: Cohort,
    names: tuple[str, ...],
    plan: TrainingPlan,
    progress: Callable[[Epoch], None],
    start: BiomarkerNetwork | None = None,
) -> BiomarkerNetwork:
    """Train a network on simulated people, before it sees a study; all but those who only watch are learned from."""
    training, watching = split(people, plan.schedule.seed)
    some = people.chosen(np.sort(np.concatenate([training, watching[_WATCHED:]])))
    others = people.chosen(watching[:_WATCHED])
    network = initialised_from(start, Architecture(people.regions, len(names))) if start else None
    return train_network(some, others, names, plan.schedule, progress, network, plan.out / "virtual.pt").network


def split(cohort: Cohort, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Patients to learn from and patients kept aside, with the same share of every category."""
    groups = cohort.groups(cohort.group_names)
    if len(cohort) < FEWEST or np.bincount(groups).min() < 3:  # noqa: PLR2004
        raise BadCohort(f"{len(cohort)} usable patients, {np.bincount(groups).min()} in the smallest group: too few")
    splitter = StratifiedShuffleSplit(1, test_size=KEPT_ASIDE, random_state=seed)
    training, watching = next(splitter.split(groups, groups))
    return np.sort(training).astype(np.int64), np.sort(watching).astype(np.int64)


def describe_epoch(epoch: Epoch) -> str:
    """Say how a training is going, in one line; skills are those of the patients kept aside."""
    return (
        f"{epoch.part} {epoch.number}: loss {epoch.loss:.3f}, skill of FA {epoch.fa:.2f}, CBF {epoch.cbf:.2f}, "
        f"stems {epoch.stems:.2f}, category right {100 * epoch.accuracy:.0f} %"
        + ("" if math.isnan(epoch.privileged) else f", privileged {epoch.privileged:.2f}")
    )
