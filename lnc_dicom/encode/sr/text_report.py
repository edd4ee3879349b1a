"""Report → Enhanced SR of sentences after TID 2000 (PS3.16), for viewers that show text reports but no TID 1500.

OHIF shows an SR as text unless its title is 126000, and the names of its items only if the content is SEPARATE. The
source is referred to as a series, because OHIF would print a line for every image.
"""

from __future__ import annotations

from collections.abc import Sequence

from highdicom import UID
from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentSequence,
    EnhancedSR,
    RelationshipTypeValues,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lnc_dicom.codes import MRI_HEAD_REPORT, SOURCE_SERIES
from lnc_dicom.encode.provenance import MANUFACTURER, Provenance
from lnc_dicom.encode.sr.sentences import caveat_sentences, measured_sentences
from lnc_dicom.report import BANNER, Report

SERIES_NUMBER = 9003
_ENGLISH = Code("en-US", "RFC5646", "English (United States)")


def text_report(report: Report, provenance: Provenance) -> EnhancedSR:
    """Encode sentences under Summary (caveats) and Findings (measured); impressions are a reader's, not ours."""
    root = ContainerContentItem(MRI_HEAD_REPORT, is_content_continuous=False, template_id="2000")
    root.ContentSequence = ContentSequence([*_context(report, provenance), *_sections(report)], is_root=False)
    document = EnhancedSR(
        evidence=list(report.sources),
        content=root,
        is_complete=all(m.passed for m in report.measurements),
        is_final=False,
        is_verified=False,
        **provenance.common("text", SERIES_NUMBER, "AI report as text (RESEARCH)"),
    )
    document.CompletionFlagDescription = f"Automatic, not reviewed. {BANNER}."
    provenance.finish(document)
    return document


def _context(report: Report, provenance: Provenance) -> list[CodeContentItem | TextContentItem | UIDRefContentItem]:
    """Give language (TID 1204), device observer (TID 1002, 1004) and source series."""
    about, series = RelationshipTypeValues.HAS_OBS_CONTEXT, UID(report.sources[0].SeriesInstanceUID)
    language = CodeContentItem(
        codes.DCM.LanguageOfContentItemAndDescendants, _ENGLISH, RelationshipTypeValues.HAS_CONCEPT_MOD
    )
    return [
        language,
        CodeContentItem(codes.DCM.ObserverType, codes.DCM.Device, about),
        UIDRefContentItem(codes.DCM.DeviceObserverUID, UID(provenance.device_uid()), about),
        TextContentItem(codes.DCM.DeviceObserverName, MANUFACTURER, about),
        TextContentItem(codes.DCM.DeviceObserverManufacturer, MANUFACTURER, about),
        TextContentItem(codes.DCM.DeviceObserverModelName, report.model.name, about),
        UIDRefContentItem(CodedConcept.from_code(SOURCE_SERIES), series, RelationshipTypeValues.CONTAINS),
    ]


def _sections(report: Report) -> list[ContainerContentItem]:
    """Give the sections of TID 2000 (CID 7001) with their sentences (CID 7002)."""
    dcm = codes.DCM
    return [
        _section(dcm.Summary, dcm.Summary, caveat_sentences(report)),
        _section(dcm.Findings, dcm.Finding, measured_sentences(report)),
    ]


def _section(title: Code, name: Code, sentences: Sequence[str]) -> ContainerContentItem:
    contains = RelationshipTypeValues.CONTAINS
    section = ContainerContentItem(title, is_content_continuous=False, relationship_type=contains)
    section.ContentSequence = ContentSequence([TextContentItem(name, text, contains) for text in sentences])
    return section
