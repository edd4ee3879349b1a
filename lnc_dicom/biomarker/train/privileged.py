"""Privileged targets of simulated patients: what the simulation knows of them beyond one study's numbers.

A study gives one noisy FA, CBF and stem count per region. A simulation knows their expected values among all people
with the same T1, and every property drawn into the image. Learning both needs far fewer people (privileged information:
Vapnik 2009; distillation: Hinton 2015). Studies have no such targets; they serve the first phase of training only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lnc_dicom.biomarker.cohort import Array, PrivilegedTargets
from lnc_dicom.simulate.oracle import Oracle, predict_with_oracle
from lnc_dicom.simulate.parameters import GROUPS, REGIONS
from lnc_dicom.simulate.subjects import CohortDesign, People

PRIVILEGED = ("volume", "T1", "ventricle", "perivascular spaces", "lacunes", "scar", "caps")
"""Properties drawn into the image of a region and of its hemisphere."""
_SMALLEST_ML = 1e-3


def privileged_targets_of(
    people: People, regions: Sequence[str], volumes_ml: Array, design: CohortDesign, seed: int
) -> PrivilegedTargets:
    """Collect the privileged targets of simulated people.

    volumes_ml
        Of the regions as they were drawn, left then right, (n, s) or more columns.
    """
    columns = [REGIONS.index(r) for r in regions]
    image_only = predict_with_oracle(people, design, seed)
    with_covariates = predict_with_oracle(people, design, seed, age_and_sex_known=True)
    return PrivilegedTargets(
        _standardised(_properties(people, columns, volumes_ml)),
        _maps(image_only, columns),
        image_only.stems,
        image_only.group,
        _maps(with_covariates, columns),
        with_covariates.stems,
        with_covariates.group,
        GROUPS,
    )


def _properties(people: People, columns: list[int], volumes_ml: Array) -> Array:
    """`PRIVILEGED` of every region, left then right, (n, s, 7)."""
    places = 2 * len(columns)
    counts = (np.sqrt(people.spaces), np.sqrt(people.lacunes))
    hemisphere = np.stack([np.log(people.ventricle), *counts, people.scar_mm, people.caps_mm], axis=-1)
    volume = np.log(np.maximum(volumes_ml[:, :places], _SMALLEST_ML))[..., None]
    t1 = people.t1[:, columns].transpose(0, 2, 1).reshape(len(people), places, 1)
    return np.concatenate([volume, t1, hemisphere.repeat(len(columns), axis=1)], axis=-1)


def _standardised(values: Array) -> Array:
    """Standardise over people (axis 0); what does not vary becomes 0."""
    sd = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(sd > 0, sd, 1.0))


def _maps(oracle: Oracle, columns: list[int]) -> Array:
    """FA and CBF of the regions in the order of the crops, (n, s, 2)."""
    both = np.stack([oracle.fa[:, columns], oracle.cbf[:, columns]], axis=-1)
    return np.asarray(both.transpose(0, 2, 1, 3).reshape(len(both), -1, 2))
