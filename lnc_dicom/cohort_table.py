"""cohort.csv: one row per patient with group, number of stems, age, sex and site."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lnc_dicom.errors import BadCohort

FILE = "cohort.csv"
COLUMNS = ("patient", "group", "stems_left", "stems_right", "age", "sex", "site")
"""patient: name of the folder; stems: LSA stems that a reader counted; sex: F, M or empty."""
MAX_STEMS = 15
"""Upper limit of a plausible count per hemisphere; autopsy found 2 to 12 stems."""
MAX_AGE = 120.0


@dataclass(frozen=True, slots=True)
class Patient:
    """One row. `age` in years, nan if unknown; `stems` left and right."""

    name: str = field(repr=False)
    group: str
    stems: tuple[int, int]
    age: float
    sex: str
    site: str


def read_table(folder: Path) -> tuple[Patient, ...]:
    """Read cohort.csv of a folder that holds one folder of DICOM per patient.

    Raises BadCohort, which names line and column but never a value, for missing columns, patients without a folder,
    folders without a row, duplicate patients, and invalid counts, ages and sexes.
    """
    path = folder / FILE
    if not path.is_file():
        raise BadCohort(f"{FILE} is missing")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
        if missing:
            raise BadCohort(f"{FILE} lacks the columns {', '.join(missing)}; required are {', '.join(COLUMNS)}")
        patients = [_patient(row, line) for line, row in enumerate(reader, start=2)]
    _check_folders(folder, patients)
    return tuple(patients)


def write_table(folder: Path, patients: Sequence[Patient]) -> None:
    """Write cohort.csv."""
    with (folder / FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for p in patients:
            age = "" if math.isnan(p.age) else f"{p.age:.1f}"
            writer.writerow([p.name, p.group, *p.stems, age, p.sex, p.site])


def _patient(row: dict[str, str | None], line: int) -> Patient:
    cell = {name: (row.get(name) or "").strip() for name in COLUMNS}
    for name in ("patient", "group"):
        if not cell[name]:
            raise BadCohort(f"line {line}: {name} is empty")
    left, right = (_stems(cell[c], c, line) for c in ("stems_left", "stems_right"))
    sex = cell["sex"].upper()
    if sex not in {"", "F", "M"}:
        raise BadCohort(f"line {line}: sex must be F, M or empty")
    return Patient(cell["patient"], cell["group"], (left, right), _age(cell["age"], line), sex, cell["site"])


def _stems(text: str, column: str, line: int) -> int:
    if not text.isdigit() or int(text) > MAX_STEMS:
        raise BadCohort(f"line {line}: {column} must be a whole number from 0 to {MAX_STEMS}")
    return int(text)


def _age(text: str, line: int) -> float:
    try:
        age = float(text) if text else math.nan
    except ValueError as error:
        raise BadCohort(f"line {line}: age must be a number of years or empty") from error
    if not math.isnan(age) and not 0 <= age <= MAX_AGE:
        raise BadCohort(f"line {line}: age must be between 0 and {MAX_AGE:g} years")
    return age


def _check_folders(folder: Path, patients: Sequence[Patient]) -> None:
    names = [p.name for p in patients]
    if not names:
        raise BadCohort(f"{FILE} names no patient")
    line = {name: i for i, name in reversed(list(enumerate(names, start=2)))}
    doubled = [line[n] for n in line if names.count(n) > 1]
    if doubled:
        raise BadCohort(f"{len(doubled)} patients are listed more than once, the first in line {doubled[0]}")
    unknown = [line[n] for n in names if not (folder / n).is_dir()]
    if unknown:
        raise BadCohort(f"{len(unknown)} patients have no folder, the first in line {unknown[0]}")
    left_over = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")) and p.name not in line]
    if left_over:
        raise BadCohort(f"{len(left_over)} folders have no row in {FILE}")
