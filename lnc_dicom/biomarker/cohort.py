"""A folder of patients → crops, measurements and volumes of every patient, cached.

The name of a cache file follows from the bytes of the patient's files, never from names or dates.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lnc_dicom.biomarker.crops import ALL_REGIONS, MARGIN, cut_crops, structures_of, volumetry_ml
from lnc_dicom.cohort_table import Patient, read_table
from lnc_dicom.errors import BadCohort, StudyRejected, UnusableInput
from lnc_dicom.quantities import Quantity
from lnc_dicom.report import Report
from lnc_dicom.types import Study

CACHE_VERSION = "1"
MAPS = (Quantity.FA, Quantity.CBF)
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PrivilegedTargets:
    """What only a simulation knows of n patients, s = left regions then right regions (`train.privileged`).

    privileged
        Properties drawn into the image, in SD of these patients, (n, s, 7).
    maps
        FA and CBF (ml/100 g/min) expected given the T1, (n, s, 2).
    stems
        Number of stems expected given the T1, (n, 2).
    groups
        Probability of each category given the T1, (n, k); group_names: names of the columns.
    maps_with_covariates, stems_with_covariates, groups_with_covariates
        The same three given the T1, age and sex.
    """

    privileged: Array = field(repr=False)
    maps: Array = field(repr=False)
    stems: Array = field(repr=False)
    groups: Array = field(repr=False)
    maps_with_covariates: Array = field(repr=False)
    stems_with_covariates: Array = field(repr=False)
    groups_with_covariates: Array = field(repr=False)
    group_names: tuple[str, ...]

    def subset(self, indices: npt.NDArray[np.int64]) -> PrivilegedTargets:
        """Choose some of the patients."""
        arrays = {f.name: getattr(self, f.name)[indices] for f in fields(self) if f.name != "group_names"}
        return PrivilegedTargets(**arrays, group_names=self.group_names)


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Images and targets of the n usable patients, s = left regions then right regions.

    crops
        float16 (n, s, 2, L, P, S) with a margin.
    measured
        FA (no unit) and CBF (ml/100 g/min), (n, s, 2); nan where not measured.
    volumes
        In mL, (n, s + 2): the regions, then the lateral ventricles.
    head
        Scale of the head relative to the training heads of the segmentation, (n,); nan where unknown.
    rejected
        Patients who could not be used, with the code of the error.
    privileged_targets
        Of simulated patients; None for studies.
    """

    regions: tuple[str, ...]
    patients: tuple[Patient, ...]
    crops: Tensor = field(repr=False)
    measured: Array = field(repr=False)
    volumes: Array = field(repr=False)
    head: Array | None = field(repr=False, default=None)
    rejected: tuple[tuple[Patient, str], ...] = ()
    privileged_targets: PrivilegedTargets | None = field(repr=False, default=None)

    def __len__(self) -> int:
        """How many usable patients there are."""
        return len(self.patients)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the disease categories, in the order of their first line in the table."""
        return tuple(dict.fromkeys(p.group for p in self.patients))

    @property
    def stems(self) -> npt.NDArray[np.int64]:
        """Stems as counted by the reader, left and right, (n, 2)."""
        return np.array([p.stems for p in self.patients], np.int64)

    @property
    def demographics(self) -> Array:
        """Age in years and sex (1 for men), (n, 2); nan where unknown."""
        sex = {"M": 1.0, "F": 0.0}
        return np.array([(p.age, sex.get(p.sex, math.nan)) for p in self.patients], float).reshape(-1, 2)

    @property
    def covariates(self) -> Array:
        """Age in years, sex (1 for men) and, if measured, head size, (n, 2 or 3); unknown values become the mean."""
        columns = list(self.demographics.T)
        columns += [] if self.head is None else [self.head]
        return np.column_stack([_mean_imputed(column) for column in columns])

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the columns of `covariates`."""
        return ("age", "sex") if self.head is None else ("age", "sex", "head size")

    def groups(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Index of each patient's category in `names`, (n,). Raises BadCohort for a category that is not among them."""
        unknown = {p.group for p in self.patients} - set(names)
        if unknown:
            raise BadCohort(f"{len(unknown)} categories in the table are unknown; the model has {', '.join(names)}")
        return np.array([names.index(p.group) for p in self.patients], np.int64)

    def subset(self, indices: npt.NDArray[np.int64]) -> Cohort:
        """Choose some of the patients."""
        return Cohort(
            self.regions,
            tuple(self.patients[i] for i in indices),
            self.crops[torch.from_numpy(indices)],
            self.measured[indices],
            self.volumes[indices],
            None if self.head is None else self.head[indices],
            privileged_targets=None if self.privileged_targets is None else self.privileged_targets.subset(indices),
        )


def load_cohort(
    folder: Path,
    regions: Sequence[str],
    analyse: Callable[[Study], Report],
    read: Callable[[Path], Study],
    progress: Callable[[str], None],
) -> Cohort:
    """Read the table and load every patient from the cache, analysing those who are not in it.

    analyse, read
        The pipeline, and the reader of a patient's folder.
    Raises BadCohort; UnusableInput if no patient can be used.
    """
    patients = read_table(folder)
    usable: list[Patient] = []
    cached: list[dict[str, Array]] = []
    rejected: list[tuple[Patient, str]] = []
    for number, patient in enumerate(patients, start=1):
        try:
            path = _cache_file(folder, patient)
            if not path.is_file():
                progress(f"patient {number} of {len(patients)}")
                _save(path, analyse(read(folder / patient.name)))
            cached.append(_load(path))
            usable.append(patient)
        except StudyRejected as error:
            rejected.append((patient, error.code))
    if not cached:
        raise UnusableInput("no patient of the cohort can be used")
    places = [structures_of(ALL_REGIONS).index(s) for s in structures_of(regions)]
    ventricles = [-2, -1]
    return Cohort(
        tuple(regions),
        tuple(usable),
        torch.from_numpy(np.stack([r["crops"][places] for r in cached])),
        np.stack([r["measured"][places] for r in cached]),
        np.stack([r["volumes"][places + ventricles] for r in cached]),
        np.array([float(r["head"]) for r in cached]),
        tuple(rejected),
    )


def _mean_imputed(column: Array) -> Array:
    known = column[np.isfinite(column)]
    return np.where(np.isfinite(column), column, known.mean() if len(known) else 0.0)


def _cache_file(folder: Path, patient: Patient) -> Path:
    """Name the cache file of a patient."""
    cache = folder / ".cache"
    cache.mkdir(exist_ok=True)
    return cache / f"{_digest(folder / patient.name)}.npz"


def _save(path: Path, report: Report) -> None:
    """Write the cache file of one study, atomically."""
    part = path.with_suffix(".part.npz")
    np.savez(part, allow_pickle=False, **arrays_of(report))
    part.replace(path)


def _load(path: Path) -> dict[str, Array]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def arrays_of(report: Report) -> dict[str, npt.NDArray[np.float16] | Array]:
    """Arrays of one study that are cached, for all regions that may be chosen."""
    measured = {m.structure: m for m in report.measurements}
    values = np.full((len(structures_of(ALL_REGIONS)), len(MAPS)), np.nan)
    for i, structure in enumerate(structures_of(ALL_REGIONS)):
        for k, quantity in enumerate(MAPS):
            statistic = measured[structure].statistics.get(quantity)
            values[i, k] = statistic.mean if statistic else np.nan
    crops = cut_crops(report.volume, report.labels, ALL_REGIONS, MARGIN)
    return {
        "crops": crops.numpy().astype(np.float16),
        "measured": values,
        "volumes": volumetry_ml(report.labels, ALL_REGIONS),
        "head": np.array(report.segmented.pose.scale if report.segmented.pose else np.nan),
    }


def _digest(folder: Path) -> str:
    """SHA-256 of the names, sizes and bytes of a patient's files."""
    digest = hashlib.sha256(CACHE_VERSION.encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
