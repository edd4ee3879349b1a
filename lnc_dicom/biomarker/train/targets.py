"""A cohort → what the heads are to say of it, in their units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.network import standardised


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Mean and SD of what is predicted, over the patients that are learned from: (regions, 2) and (2,)."""

    maps: npt.NDArray[np.float64]
    stems: npt.NDArray[np.float64]

    @classmethod
    def of(cls, cohort: Cohort) -> Scales:
        """Measure the scales; sides share them."""
        per_region = cohort.measured.reshape(len(cohort) * 2, len(cohort.regions), -1)
        counted = np.isfinite(per_region).sum(axis=0)
        mean = np.nansum(per_region, axis=0) / np.maximum(counted, 1)
        sd = np.sqrt(np.nansum((per_region - mean) ** 2, axis=0) / np.maximum(counted - 1, 1))
        stems = cohort.stems.astype(float)
        return cls(
            np.stack([mean, np.maximum(sd, 1e-6)], axis=-1), np.array([stems.mean(), max(float(stems.std()), 0.1)])
        )


class Targets:
    """What is to be said of the people of a cohort, in the units of the heads.

    maps, stems, groups
        FA and CBF as measured (n, s, 2), nan where not; stems as read (n, 2); category (n,).
    expected_maps, expected_stems, chances
        What is to be expected of people who look like them: for simulated people from
        `PrivilegedTargets`, for others what was measured and read.
    maps_with_covariates, stems_with_covariates, chances_with_covariates
        The same, of people who are also as old and of the same sex.
    demographics
        Age and sex, standardised (n, 2); nan where unknown.
    privileged
        Only of simulated people.
    """

    def __init__(self, cohort: Cohort, scales: Scales, group_names: tuple[str, ...]) -> None:
        self.crops = cohort.crops
        two_sides = np.concatenate([scales.maps, scales.maps])
        self.maps = torch.from_numpy((cohort.measured - two_sides[..., 0]) / two_sides[..., 1]).float()
        self.stems = torch.from_numpy((cohort.stems - scales.stems[0]) / scales.stems[1]).float()
        self.groups = torch.from_numpy(cohort.groups(group_names))
        self.demographics = standardised(cohort.persons)
        self.names = group_names
        self.expected_maps, self.expected_stems = self.maps, self.stems
        self.chances = functional.one_hot(self.groups, len(group_names)).float()
        self.privileged: Tensor | None = None
        if privileged_targets := cohort.privileged_targets:
            order = [privileged_targets.group_names.index(name) for name in group_names]
            self.expected_maps, maps_with_covariates = (
                torch.from_numpy((maps - two_sides[..., 0]) / two_sides[..., 1]).float()
                for maps in (privileged_targets.maps, privileged_targets.maps_with_covariates)
            )
            self.expected_stems, stems_with_covariates = (
                torch.from_numpy((stems - scales.stems[0]) / scales.stems[1]).float()
                for stems in (privileged_targets.stems, privileged_targets.stems_with_covariates)
            )
            self.chances, chances_with_covariates = (
                torch.from_numpy(groups[:, order]).float()
                for groups in (privileged_targets.groups, privileged_targets.groups_with_covariates)
            )
            self.maps_with_covariates, self.stems_with_covariates, self.chances_with_covariates = (
                maps_with_covariates,
                stems_with_covariates,
                chances_with_covariates,
            )
            self.privileged = torch.from_numpy(privileged_targets.privileged).float()
        else:
            self.maps_with_covariates, self.stems_with_covariates, self.chances_with_covariates = (
                self.expected_maps,
                self.expected_stems,
                self.chances,
            )
