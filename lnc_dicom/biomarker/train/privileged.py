"""What a simulation can teach of a person beyond one study's numbers.

A study gives one noisy FA, CBF and count per region; a simulation knows what they are on average among people who look
like this one, and everything that was drawn into the image. Learning both needs far fewer people (privileged
information, Vapnik 2009; distillation, Hinton 2015). No study has them; they serve only before the first study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from lnc_dicom.simulate.oracle import Oracle, consult
from lnc_dicom.simulate.parameters import GROUPS, REGIONS
from lnc_dicom.simulate.subjects import People, Study

Array = npt.NDArray[np.float64]

PRIVILEGED = ("volume", "T1", "ventricle", "perivascular spaces", "lacunes", "scar", "caps")
"""What is drawn into the image of a region and of its hemisphere."""


@dataclass(frozen=True, slots=True, eq=False)
class PrivilegedTargets:
    """For n people, s = left regions then right regions.

    privileged
        `PRIVILEGED` in SD of these people, (n, s, 7).
    maps
        FA and CBF (ml/100 g/min) to be expected from what the T1 shows, (n, s, 2).
    stems
        Stems to be expected, (n, 2).
    groups
        Probability of each category, (n, k); group_names: what the columns are.
    maps_with_covariates, stems_with_covariates, groups_with_covariates
        The same three, to be expected by whoever knows age and sex besides.
    """

    privileged: Array = field(repr=False)
    maps: Array = field(repr=False)
    stems: Array = field(repr=False)
    groups: Array = field(repr=False)
    maps_with_covariates: Array = field(repr=False)
    stems_with_covariates: Array = field(repr=False)
    groups_with_covariates: Array = field(repr=False)
    group_names: tuple[str, ...]

    def chosen(self, indices: npt.NDArray[np.int64]) -> PrivilegedTargets:
        """Choose some of the people."""
        arrays = {f.name: getattr(self, f.name)[indices] for f in fields(self) if f.name != "group_names"}
        return PrivilegedTargets(**arrays, group_names=self.group_names)


def privileged_targets_of(
    people: People, regions: Sequence[str], volumes_ml: Array, study: Study, seed: int
) -> PrivilegedTargets:
    """Write down what a simulation knows of these people.

    volumes_ml
        Of the regions as they were drawn, left then right, (n, s) or more columns.
    """
    rows = [REGIONS.index(r) for r in regions]
    count, places = len(people), 2 * len(rows)
    blind, with_covariates = consult(people, study, seed), consult(people, study, seed, age_and_sex_known=True)
    hemisphere = np.stack(
        [
            np.log(people.ventricle),
            np.sqrt(people.spaces),
            np.sqrt(people.lacunes),
            people.scar_mm,
            people.caps_mm,
        ],
        axis=-1,
    )
    privileged = np.concatenate(
        [
            np.log(np.maximum(volumes_ml[:, :places], 1e-3))[..., None],
            people.t1[:, rows].transpose(0, 2, 1).reshape(count, places, 1),
            hemisphere.repeat(len(rows), axis=1),
        ],
        axis=-1,
    )
    spread = privileged.std(axis=0)
    return PrivilegedTargets(
        (privileged - privileged.mean(axis=0)) / np.where(spread > 0, spread, 1.0),
        _maps(blind, rows),
        blind.stems,
        blind.group,
        _maps(with_covariates, rows),
        with_covariates.stems,
        with_covariates.group,
        GROUPS,
    )


def _maps(oracle: Oracle, rows: list[int]) -> Array:
    """FA and CBF of the regions in the order of the crops, (n, s, 2)."""
    both = np.stack([oracle.fa[:, rows], oracle.cbf[:, rows]], axis=-1)
    return np.asarray(both.transpose(0, 2, 1, 3).reshape(len(both), -1, 2))
