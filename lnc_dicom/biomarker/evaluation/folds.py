"""Patients → folds: all samples of a patient are in the same fold."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedKFold

from lnc_dicom.biomarker.evaluation.inputs import Ints
from lnc_dicom.errors import BadCohort


def strata_of(groups: Sequence[str], sites: Sequence[str], folds: int) -> list[str]:
    """Stratify by group and site where a site has enough patients of the group, otherwise by group."""
    cells = Counter(zip(groups, sites, strict=True))
    return [f"{g}|{s}" if cells[g, s] >= folds else g for g, s in zip(groups, sites, strict=True)]


def patient_folds(strata: Sequence[str], folds: int, seed: int) -> Ints:
    """Draw the fold of every patient, (n,), balanced over the strata. Raises BadCohort for too few patients."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = list(_splitter(strata, folds, seed).split(np.zeros(len(strata)), _dense(strata, folds)))
    fold = np.zeros(len(strata), np.int64)
    for number, (_, test) in enumerate(parts):
        fold[test] = number
    return fold


def _splitter(strata: Sequence[str], folds: int, seed: int) -> StratifiedKFold:
    if len(strata) < 2 * folds:
        raise BadCohort(f"{len(strata)} patients are too few for {folds} folds")
    return StratifiedKFold(folds, shuffle=True, random_state=seed)


def _dense(strata: Sequence[str], folds: int) -> list[str]:
    """Ignore the strata if none of them is large enough for every fold."""
    return list(strata) if max(Counter(strata).values()) >= folds else [""] * len(strata)


def sample_folds(subject: Ints, strata: Sequence[str], folds: int, seed: int) -> Ints:
    """Fold of every sample, (m,): the fold of its patient.

    subject
        Index of the patient of each sample, (m,), into the `strata` of all patients.
    """
    present, place = np.unique(subject, return_inverse=True)
    return np.asarray(patient_folds([strata[i] for i in present], folds, seed)[place], np.int64)
