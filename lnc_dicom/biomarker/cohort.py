"""A cohort → crops, measurements and volumes of every patient, each made once and kept.

What is kept depends on the bytes of the patient's files and on the segmentation model, not on names or dates.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lnc_dicom.biomarker.crops import ALL_REGIONS, MARGIN, cut_crops, structures_of, volumetry_ml
from lnc_dicom.biomarker.train.privileged import PrivilegedTargets
from lnc_dicom.cohort_table import Patient, read_table
from lnc_dicom.errors import BadCohort, StudyRejected, UnusableInput
from lnc_dicom.report import Report
from lnc_dicom.types import Quantity, Study

CACHE_VERSION = "1"
MAPS = (Quantity.FA, Quantity.CBF)


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Everything that is learned from, in the order of the patients that could be used.

    crops
        float16 (n, s, 2, L, P, S) with a margin, s = left regions then right regions.
    measured
        FA and CBF, (n, s, 2); nan where not measured.
    volumes
        mL, (n, s + 2): the regions, then the lateral ventricles.
    head
        Size of the head against the training heads of the segmentation, (n,); nan where unknown.
    rejected
        Patients that could not be used, with the code of the reason.
    privileged_targets
        What only a simulation knows; None for studies.
    """

    regions: tuple[str, ...]
    patients: tuple[Patient, ...]
    crops: Tensor = field(repr=False)
    measured: npt.NDArray[np.float64] = field(repr=False)
    volumes: npt.NDArray[np.float64] = field(repr=False)
    head: npt.NDArray[np.float64] | None = field(repr=False, default=None)
    rejected: tuple[tuple[Patient, str], ...] = ()
    privileged_targets: PrivilegedTargets | None = field(repr=False, default=None)

    def __len__(self) -> int:
        """How many patients can be used."""
        return len(self.patients)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the disease categories, in the order in which the table first has them."""
        return tuple(dict.fromkeys(p.group for p in self.patients))

    @property
    def stems(self) -> npt.NDArray[np.int64]:
        """Stems as read, (n, 2)."""
        return np.array([p.stems for p in self.patients], np.int64)

    @property
    def persons(self) -> npt.NDArray[np.float64]:
        """Age in years and sex (1 for men), (n, 2); nan where unknown."""
        sex = {"M": 1.0, "F": 0.0}
        return np.array([(p.age, sex.get(p.sex, math.nan)) for p in self.patients], float).reshape(-1, 2)

    @property
    def covariates(self) -> npt.NDArray[np.float64]:
        """Age in years, sex (1 for men) and, where it was measured, head size, (n, 2 or 3).

        What is unknown is the mean of those who are known.
        """
        columns = list(self.persons.T)
        columns += [] if self.head is None else [self.head]
        return np.column_stack([_filled(column) for column in columns])

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the columns of `covariates`."""
        return ("age", "sex") if self.head is None else ("age", "sex", "head size")

    def groups(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Index of each patient's category among `names`. Raises BadCohort for a category that is not there."""
        unknown = {p.group for p in self.patients} - set(names)
        if unknown:
            raise BadCohort(f"{len(unknown)} categories in the table are not the model's ({', '.join(names)})")
        return np.array([names.index(p.group) for p in self.patients], np.int64)

    def chosen(self, indices: npt.NDArray[np.int64]) -> Cohort:
        """Choose some of the patients."""
        return Cohort(
            self.regions,
            tuple(self.patients[i] for i in indices),
            self.crops[torch.from_numpy(indices)],
            self.measured[indices],
            self.volumes[indices],
            None if self.head is None else self.head[indices],
            privileged_targets=None if self.privileged_targets is None else self.privileged_targets.chosen(indices),
        )


def load_cohort(
    folder: Path,
    regions: Sequence[str],
    analyse: Callable[[Study], Report],
    read: Callable[[Path], Study],
    progress: Callable[[str], None],
) -> Cohort:
    """Read the table, analyse every patient that was not analysed before, and put everything together.

    analyse, read
        The pipeline and the reader of folders, as for one study.
    Raises BadCohort; UnusableInput where no patient can be used.
    """
    patients = read_table(folder)
    kept: list[Patient] = []
    rows: list[dict[str, npt.NDArray[np.float64]]] = []
    rejected: list[tuple[Patient, str]] = []
    for number, patient in enumerate(patients, start=1):
        try:
            path = _cached(folder, patient)
            if not path.is_file():
                progress(f"patient {number} of {len(patients)}")
                _keep(path, analyse(read(folder / patient.name)))
            rows.append(_load(path))
            kept.append(patient)
        except StudyRejected as error:
            rejected.append((patient, error.code))
    if not rows:
        raise UnusableInput("no patient of the cohort can be used")
    places = [structures_of(ALL_REGIONS).index(s) for s in structures_of(regions)]
    ventricles = [-2, -1]
    return Cohort(
        tuple(regions),
        tuple(kept),
        torch.from_numpy(np.stack([r["crops"][places] for r in rows])),
        np.stack([r["measured"][places] for r in rows]),
        np.stack([r["volumes"][places + ventricles] for r in rows]),
        np.array([float(r["head"]) for r in rows]),
        tuple(rejected),
    )


def _filled(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = column[np.isfinite(column)]
    return np.where(np.isfinite(column), column, known.mean() if len(known) else 0.0)


def _cached(folder: Path, patient: Patient) -> Path:
    """Name the file in which what is kept of a patient lies."""
    cache = folder / ".cache"
    cache.mkdir(exist_ok=True)
    return cache / f"{_digest(folder / patient.name)}.npz"


def _keep(path: Path, report: Report) -> None:
    """Write what is kept of one study, whole or not at all."""
    part = path.with_suffix(".part.npz")
    np.savez(part, allow_pickle=False, **describe(report))
    part.replace(path)


def _load(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def describe(report: Report) -> dict[str, npt.NDArray[np.float16] | npt.NDArray[np.float64]]:
    """Everything that is kept of one study, for all regions that may be chosen."""
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
    """SHA-256 over names, sizes and bytes of a patient's files."""
    digest = hashlib.sha256(CACHE_VERSION.encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
