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
    roots: npt.NDArray[np.float64]

    @classmethod
    def of(cls, cohort: Cohort) -> Scales:
        """Measure the scales; sides share them."""
        per_region = cohort.measured.reshape(len(cohort) * 2, len(cohort.regions), -1)
        counted = np.isfinite(per_region).sum(axis=0)
        mean = np.nansum(per_region, axis=0) / np.maximum(counted, 1)
        sd = np.sqrt(np.nansum((per_region - mean) ** 2, axis=0) / np.maximum(counted - 1, 1))
        roots = cohort.roots.astype(float)
        return cls(
            np.stack([mean, np.maximum(sd, 1e-6)], axis=-1), np.array([roots.mean(), max(float(roots.std()), 0.1)])
        )


class Targets:
    """What is to be said of the people of a cohort, in the units of the heads.

    maps, roots, groups
        FA and CBF as measured (n, s, 2), nan where not; stems as read (n, 2); category (n,).
    expected_maps, expected_roots, chances
        What is to be expected of people who look like them: of simulated people from `Lessons`, of others the same
        as was measured and read.
    told_maps, told_roots, told_chances
        The same, of people who are also as old and of the same sex.
    person
        Age and sex, standardised (n, 2); nan where unknown.
    traits
        Only of simulated people.
    """

    def __init__(self, cohort: Cohort, scales: Scales, group_names: tuple[str, ...]) -> None:
        self.crops = cohort.crops
        two_sides = np.concatenate([scales.maps, scales.maps])
        self.maps = torch.from_numpy((cohort.measured - two_sides[..., 0]) / two_sides[..., 1]).float()
        self.roots = torch.from_numpy((cohort.roots - scales.roots[0]) / scales.roots[1]).float()
        self.groups = torch.from_numpy(cohort.groups(group_names))
        self.person = standardised(cohort.persons)
        self.names = group_names
        self.expected_maps, self.expected_roots = self.maps, self.roots
        self.chances = functional.one_hot(self.groups, len(group_names)).float()
        self.traits: Tensor | None = None
        if lessons := cohort.lessons:
            order = [lessons.group_names.index(name) for name in group_names]
            self.expected_maps, told_maps = (
                torch.from_numpy((maps - two_sides[..., 0]) / two_sides[..., 1]).float()
                for maps in (lessons.maps, lessons.told_maps)
            )
            self.expected_roots, told_roots = (
                torch.from_numpy((roots - scales.roots[0]) / scales.roots[1]).float()
                for roots in (lessons.roots, lessons.told_roots)
            )
            self.chances, told_chances = (
                torch.from_numpy(groups[:, order]).float() for groups in (lessons.groups, lessons.told_groups)
            )
            self.told_maps, self.told_roots, self.told_chances = told_maps, told_roots, told_chances
            self.traits = torch.from_numpy(lessons.traits).float()
        else:
            self.told_maps, self.told_roots, self.told_chances = self.expected_maps, self.expected_roots, self.chances
