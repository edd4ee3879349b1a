"""Headers of received objects → what rules look at. Nothing of it names a patient."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import FileDataset
from pydicom.errors import InvalidDicomError

from lnc_dicom.study.demographics import demographics_of
from lnc_dicom.study.priors import is_ours
from lnc_dicom.study.values import text

_NAMES = [
    *("SeriesInstanceUID", "StudyDescription", "SeriesDescription", "Modality", "BodyPartExamined"),
    *("PatientAge", "PatientBirthDate", "StudyDate", "Manufacturer"),
]


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What the first image of a series says; `files` are the names of all of its files."""

    description: str
    modality: str
    body_part: str
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What rules know of a study. Age in years, nan where it is not said."""

    sent_by: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    description: str = ""
    age: float = math.nan
    series: tuple[SeriesFacts, ...] = ()


def facts_of(files: Iterable[Path]) -> StudyFacts:
    """Look at the headers of a study's files; what cannot be read, and results of ours, are left out."""
    found = [(path, header) for path in files if (header := _header(path)) is not None and not is_ours(header)]
    by_series: dict[str, list[tuple[Path, FileDataset]]] = defaultdict(list)
    for path, header in found:
        by_series[text(header, "SeriesInstanceUID")].append((path, header))
    ages = (demographics_of(header).age for _, header in found)
    descriptions = (text(header, "StudyDescription") for _, header in found)
    return StudyFacts(
        _titles(found, "SourceApplicationEntityTitle"),
        _titles(found, "ReceivingApplicationEntityTitle"),
        next(filter(None, descriptions), ""),
        next((age for age in ages if not math.isnan(age)), math.nan),
        tuple(_series(items) for items in by_series.values()),
    )


def _series(items: list[tuple[Path, FileDataset]]) -> SeriesFacts:
    header = items[0][1]
    description, modality, body_part = (text(header, n) for n in ("SeriesDescription", "Modality", "BodyPartExamined"))
    return SeriesFacts(description, modality, body_part, frozenset(path.name for path, _ in items))


def _titles(found: Iterable[tuple[Path, FileDataset]], name: str) -> tuple[str, ...]:
    return tuple(sorted({title for _, header in found if (title := text(header.file_meta, name))}))


def _header(path: Path) -> FileDataset | None:
    """Read the few attributes; None for what is no DICOM object."""
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_NAMES)
    except (OSError, InvalidDicomError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError):
        return None
