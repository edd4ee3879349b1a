"""A cohort → the targets of the heads, in their standardised units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.network import standardised_demographics

Array = npt.NDArray[np.float64]
_SMALLEST_SD, _SMALLEST_STEMS_SD = 1e-6, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Mean and SD of the targets over the training patients: of the maps (regions, 2, 2), of the stems (2,)."""

    maps: Array
    stems: Array

    @classmethod
    def of(cls, cohort: Cohort) -> Scales:
        """Compute the scales of a cohort; left and right share them."""
        per_region = cohort.measured.reshape(len(cohort) * 2, len(cohort.regions), -1)
        counted = np.isfinite(per_region).sum(axis=0)
        mean = np.nansum(per_region, axis=0) / np.maximum(counted, 1)
        sd = np.sqrt(np.nansum((per_region - mean) ** 2, axis=0) / np.maximum(counted - 1, 1))
        stems = cohort.stems.astype(float)
        return cls(
            np.stack([mean, np.maximum(sd, _SMALLEST_SD)], axis=-1),
            np.array([stems.mean(), max(float(stems.std()), _SMALLEST_STEMS_SD)]),
        )

    def standardise_maps(self, maps: Array) -> Tensor:
        """FA and CBF (n, s, 2) in SD from the mean of their region."""
        both_sides = np.concatenate([self.maps, self.maps])
        return torch.from_numpy((maps - both_sides[..., 0]) / both_sides[..., 1]).float()

    def standardise_stems(self, stems: npt.ArrayLike) -> Tensor:
        """Stems (n, 2) in SD from their mean."""
        return torch.from_numpy((np.asarray(stems, float) - self.stems[0]) / self.stems[1]).float()


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedTargets:
    """Expected values given the image: maps (n, s, 2), stems (n, 2), probabilities of the categories (n, k)."""

    maps: Tensor
    stems: Tensor
    group_probabilities: Tensor


class Targets:
    """Targets of a cohort, in the units of the heads.

    maps, stems, groups
        FA and CBF as measured (n, s, 2), nan where not measured; stems as counted (n, 2); category (n,).
    image_only, with_covariates
        Values expected from the image alone, and from the image, age and sex. For simulated patients they come from
        `PrivilegedTargets`; for others they are the measured and counted values.
    demographics
        Age and sex, standardised (n, 2); nan where unknown.
    privileged
        Privileged targets (n, s, 7); None for studies.
    """

    def __init__(self, cohort: Cohort, scales: Scales, group_names: tuple[str, ...]) -> None:
        self.crops = cohort.crops
        self.maps = scales.standardise_maps(cohort.measured)
        self.stems = scales.standardise_stems(cohort.stems)
        self.groups = torch.from_numpy(cohort.groups(group_names))
        self.demographics = standardised_demographics(cohort.demographics)
        self.names = group_names
        observed = ExpectedTargets(self.maps, self.stems, functional.one_hot(self.groups, len(group_names)).float())
        self.image_only = self.with_covariates = observed
        self.privileged: Tensor | None = None
        if known := cohort.privileged_targets:
            order = [known.group_names.index(name) for name in group_names]

            def expected(maps: Array, stems: Array, groups: Array) -> ExpectedTargets:
                probabilities = torch.from_numpy(groups[:, order]).float()
                return ExpectedTargets(scales.standardise_maps(maps), scales.standardise_stems(stems), probabilities)

            self.image_only = expected(known.maps, known.stems, known.groups)
            self.with_covariates = expected(
                known.maps_with_covariates, known.stems_with_covariates, known.groups_with_covariates
            )
            self.privileged = torch.from_numpy(known.privileged).float()
