"""The one table of what can be written: the name that a site chooses by, and the files."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Output(StrEnum):
    """What may be written of a study; the value is the name in settings and on the command line."""

    SEG = "seg"
    SR = "sr"
    SUMMARY = "summary"
    SALIENCY = "saliency"
    LABELMAP = "labelmap"
    MAP = "map"
    TEXT = "text"
    PDF = "pdf"
    FHIR = "fhir"


DEFAULT_OUTPUTS = (Output.SEG, Output.SR, Output.SUMMARY, Output.SALIENCY)
"""What a destination gets that does not choose; the saliency only where there is a biomarker model."""

FILES_OF: dict[Output, tuple[str, ...]] = {
    Output.SEG: ("segmentation.dcm",),
    Output.SR: ("measurements.dcm",),
    Output.SUMMARY: ("summary.dcm", "summary-2.dcm"),
    Output.SALIENCY: ("saliency.dcm",),
    Output.LABELMAP: ("labelmap.dcm",),
    Output.MAP: ("map-saliency.dcm", "map-fa.dcm", "map-cbf.dcm", "map-relative-cbf.dcm"),
    Output.TEXT: ("report.dcm",),
    Output.PDF: ("report-pdf.dcm",),
}
"""DICOM files of each kind, in the order in which they are sent; not every study has all of them."""

FILES = tuple(file for files in FILES_OF.values() for file in files)
"""Every DICOM file that a result may have."""

FHIR_FILE = "report.fhir.json"
"""Lies beside result.json; it is no DICOM object and is not sent by DICOM."""


def files_for(kinds: Iterable[Output], written: Iterable[str]) -> list[str]:
    """Of the files that were written those of some kinds, in the order of the table: what most receivers know first."""
    wanted = {file for kind in kinds for file in FILES_OF.get(kind, ())}
    return [file for file in FILES if file in wanted.intersection(written)]


def union(choices: Iterable[Iterable[Output]]) -> tuple[Output, ...]:
    """Everything that anyone has chosen, in the order of the table."""
    chosen = {kind for kinds in choices for kind in kinds}
    return tuple(kind for kind in Output if kind in chosen)
