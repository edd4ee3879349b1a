"""volumes.csv: what was measured in all heads, a row per head and structure; where nothing was, a row that says why."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import LncError, UnusableInput
from lnc_dicom.predictions import Model
from lnc_dicom.research.heads import Head
from lnc_dicom.research.result import Result, rows

FILE = "volumes.csv"
COLUMNS: tuple[str, ...] = ("name", "source", "model", "doubt", "structure", "side", "label", "voxels")
COLUMNS += ("volume_ml", "volume_low_ml", "volume_high_ml", "passed", "code", "reason")

Row = Mapping[str, str]


def model_name(model: Model) -> str:
    """Name a model as the table does: name, version and the start of its digest."""
    return f"{model.name} {model.version} {model.digest[:12]}"


def measured(head: Head, result: Result) -> list[Row]:
    """Give a row per structure; numbers of one that failed are empty, `code` and `reason` say which gate it failed."""
    same = {"name": head.name, "source": head.source, "model": model_name(result.model), "doubt": f"{result.doubt:.3f}"}
    found: list[Row] = []
    for row in rows(result.measurements):
        code, _, reason = str(row["reason"]).partition(" ")
        values = {column: _text(row[column]) for column in COLUMNS if column in row}
        found.append({**same, **values, "code": code, "reason": reason})
    return found


def not_measured(head: Head, error: LncError) -> list[Row]:
    """Give the row of a head that could not be measured."""
    return [{"name": head.name, "source": head.source, "passed": "False", "code": error.code, "reason": error.what}]


def _text(value: object) -> str:
    return "" if isinstance(value, float) and math.isnan(value) else str(value)


def is_complete(found: Sequence[Row], head: Head, model: Model) -> bool:
    """Whether the rows of a name are those of this head, measured by this model."""
    same = all(row["source"] == head.source and row["model"] == model_name(model) for row in found)
    return same and len(found) == len(STRUCTURES)


def read_table(path: Path) -> dict[str, list[Row]]:
    """Read the rows of every head by its name; none where there is no file. Raises UnusableInput."""
    found: dict[str, list[Row]] = {}
    if not path.is_file():
        return found
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, restval=""):
                found.setdefault(row["name"], []).append({column: row[column] for column in COLUMNS})
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise UnusableInput(f"{path.name} cannot be read as a table that --resume goes on with") from error
    return found


def write_table(path: Path, heads: Mapping[str, Sequence[Row]]) -> None:
    """Write the rows of all heads; the file is whole at any time. Raises UnusableInput."""
    new = path.with_name(f".{path.name}.new")
    try:
        with new.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(row for found in heads.values() for row in found)
        new.replace(path)
    except OSError as error:
        raise UnusableInput(f"cannot write {path.name}: {error.strerror}") from error
