"""The one table of the kinds of objects that can be written: their names in settings, and their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Output(StrEnum):
    """Kind of object that may be written; the value is its name in settings and on the command line."""

    SEG = "seg"
    SR = "sr"
    SUMMARY = "summary"
    BIOMARKER = "biomarker"
    SALIENCY = "saliency"
    LABELMAP = "labelmap"
    MAP = "map"
    TEXT = "text"
    PDF = "pdf"
    FHIR = "fhir"


DEFAULT_OUTPUTS = (Output.SEG, Output.SR, Output.SUMMARY, Output.BIOMARKER, Output.SALIENCY)
"""Kinds that are made where nobody chooses; the last two only if there is a biomarker model."""

PREDICTED = frozenset({Output.BIOMARKER, Output.SALIENCY})
"""Kinds that hold what a model predicts; the other kinds hold nothing but what was measured."""

SALIENCY_MAP = "map-saliency.dcm"
"""A map of what predictions rest on: only for those who want maps and saliency."""

FILES_OF: Mapping[Output, tuple[str, ...]] = {
    Output.SEG: ("segmentation.dcm",),
    Output.SR: ("measurements.dcm",),
    Output.SUMMARY: ("summary.dcm", "summary-2.dcm"),
    Output.BIOMARKER: ("predictions.dcm", "predictions-page.dcm"),
    Output.SALIENCY: ("saliency.dcm",),
    Output.LABELMAP: ("labelmap.dcm",),
    Output.MAP: (SALIENCY_MAP, "map-fa.dcm", "map-cbf.dcm", "map-relative-cbf.dcm"),
    Output.TEXT: ("report.dcm",),
    Output.PDF: ("report-pdf.dcm",),
}
"""DICOM files of every kind, in the order in which they are sent; not every study has all of them."""

FILES = tuple(file for files in FILES_OF.values() for file in files)
"""Every DICOM file that a result may have."""

FHIR_FILE = "report.fhir.json"
"""Written beside result.json; it is not a DICOM object and is not sent by DICOM."""


def files_for(kinds: Iterable[Output], written: Iterable[str]) -> list[str]:
    """Give those of the written files that are of some kinds, in the order of the table: the best known first."""
    chosen = set(kinds)
    wanted = {file for kind in chosen for file in FILES_OF.get(kind, ())}
    wanted -= set() if Output.SALIENCY in chosen else {SALIENCY_MAP}
    return [file for file in FILES if file in wanted.intersection(written)]


def default_outputs(*, demonstration: bool) -> tuple[Output, ...]:
    """Give the kinds for a destination that does not choose: a demonstration model's predictions only on request."""
    return tuple(kind for kind in DEFAULT_OUTPUTS if not (demonstration and kind in PREDICTED))


def union(choices: Iterable[Iterable[Output]]) -> tuple[Output, ...]:
    """Give every kind that occurs in any of the choices, in the order of the table."""
    chosen = {kind for kinds in choices for kind in kinds}
    return tuple(kind for kind in Output if kind in chosen)
