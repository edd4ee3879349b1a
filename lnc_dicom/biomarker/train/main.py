"""A cohort → an installable model: split, train, calibrate, write."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedShuffleSplit

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.network import (
    BiomarkerArchitecture,
    BiomarkerNetwork,
    initialised_from,
    standardised_demographics,
)
from lnc_dicom.biomarker.train.calibrate import calibrate, measure_skill
from lnc_dicom.biomarker.train.model_card import ModelDescription, write_model
from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule, Epoch, predict, train_network
from lnc_dicom.errors import BadCohort

HELD_OUT_SHARE = 0.2
"""Share of the patients held out for validation and calibration."""
FEWEST = 15
"""With fewer patients, a stratified split is not possible."""
_VALIDATION_SUBJECTS = 200
"""Simulated people who are predicted after every epoch."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The folder of a model, its description, and how it is trained."""

    out: Path
    description: ModelDescription
    schedule: BiomarkerSchedule


def train_model(
    cohort: Cohort,
    plan: TrainingPlan,
    progress: Callable[[Epoch], None],
    start: BiomarkerNetwork | None = None,
    calibration_cohort: Cohort | None = None,
) -> None:
    """Train, calibrate and write a model. If it was stopped, call it again to resume after the last epoch.

    start
        Initial network; weights whose shape differs (other regions or categories) are not taken.
    calibration_cohort
        Patients for validation and calibration only; None: a fifth of the cohort is held out.
    Raises BadCohort if there are too few patients to split.
    """
    names = plan.description.groups
    if calibration_cohort is None:
        training, held_out = (cohort.subset(i) for i in split(cohort, plan.schedule.seed))
    else:
        training, held_out = cohort, calibration_cohort
    network = initialised_from(start, BiomarkerArchitecture(cohort.regions, len(names))) if start else None
    run = train_network(training, held_out, names, plan.schedule, progress, network, plan.out / "training.pt")
    trained = run.network.to("cpu")
    with_covariates = predict(trained, held_out.crops, standardised_demographics(held_out.demographics))
    without_covariates = predict(trained, held_out.crops)
    calibrations = tuple(
        calibrate(outputs, held_out, run.scales, names) for outputs in (with_covariates, without_covariates)
    )
    skill = measure_skill(with_covariates, held_out, run.scales, names)
    write_model(plan.out / "model", plan.description, run, calibrations, skill, plan.schedule, len(training))


def pretrain_on_simulated(
    people: Cohort,
    names: tuple[str, ...],
    plan: TrainingPlan,
    progress: Callable[[Epoch], None],
    start: BiomarkerNetwork | None = None,
) -> BiomarkerNetwork:
    """Train a network on simulated people before it is trained on studies; at most 200 of them are for validation."""
    training, held_out = split(people, plan.schedule.seed)
    some = people.subset(np.sort(np.concatenate([training, held_out[_VALIDATION_SUBJECTS:]])))
    others = people.subset(held_out[:_VALIDATION_SUBJECTS])
    network = initialised_from(start, BiomarkerArchitecture(people.regions, len(names))) if start else None
    return train_network(some, others, names, plan.schedule, progress, network, plan.out / "simulated.pt").network


def split(cohort: Cohort, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split into the indices of training and of held-out patients, with the same share of every category.

    Raises BadCohort if there are too few patients.
    """
    groups = cohort.groups(cohort.group_names)
    if len(cohort) < FEWEST or np.bincount(groups).min() < 3:  # noqa: PLR2004
        raise BadCohort(f"{len(cohort)} usable patients, {np.bincount(groups).min()} in the smallest group: too few")
    splitter = StratifiedShuffleSplit(1, test_size=HELD_OUT_SHARE, random_state=seed)
    training, held_out = next(splitter.split(groups, groups))
    return np.sort(training).astype(np.int64), np.sort(held_out).astype(np.int64)


def describe_epoch(epoch: Epoch) -> str:
    """One line about an epoch; skills are those of the validation patients."""
    return (
        f"{epoch.phase} {epoch.number}: loss {epoch.loss:.3f}, skill of FA {epoch.fa:.2f}, CBF {epoch.cbf:.2f}, "
        f"stems {epoch.stems:.2f}, accuracy of the category {100 * epoch.accuracy:.0f} %"
        + ("" if math.isnan(epoch.privileged) else f", privileged {epoch.privileged:.2f}")
    )
