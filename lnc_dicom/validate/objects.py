"""A DICOM object, alone and together with the others of its study → violations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.uid import SegmentationStorage

from lnc_dicom.uids import LABEL_MAP_SEGMENTATION
from lnc_dicom.validate.content_tree import Violation, children, coded, key, name_of, walk
from lnc_dicom.validate.segmentation import check_segmentation
from lnc_dicom.validate.sr import check_report, groups
from lnc_dicom.validate.tid1500 import FINDING, REFERENCED_SEGMENT, TRACKING_UID

OURS = "lnc-dicom"
"""Manufacturer of the objects that we write."""
_SEGMENTATIONS = (SegmentationStorage, LABEL_MAP_SEGMENTATION)
_EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")


def check_object(header: Dataset) -> list[Violation]:
    """Check one object: value representations, content, and what we promise of our own objects."""
    found = [*_representations(header), *_promises(header)]
    if header.get("SOPClassUID") in _SEGMENTATIONS:
        found += check_segmentation(header)
    if "ContentSequence" in header:
        found += [*check_report(header), *_evidence(header)]
    return found


def check_references(header: Dataset, others: Sequence[Dataset]) -> list[Violation]:
    """Follow the references of an SR into those of the segmentations that are given; others are not checked."""
    segs = {str(o.SOPInstanceUID): o for o in others if o.get("SOPClassUID") in _SEGMENTATIONS}
    found: list[Violation] = []
    for where, group in groups(header):
        for place, item in children(group, where):
            if name_of(item) != key(REFERENCED_SEGMENT) or not item.get("ReferencedSOPSequence"):
                continue
            reference = item.ReferencedSOPSequence[0]
            seg = segs.get(str(reference.get("ReferencedSOPInstanceUID")))
            if seg is not None:
                found += _segment(group, place, reference.get("ReferencedSegmentNumber"), seg)
    return found


def _segment(group: Dataset, where: str, number: int | None, seg: Dataset) -> Iterator[Violation]:
    """Compare a group with the segment that it refers to."""
    segment = next((s for s in seg.get("SegmentSequence", ()) if s.get("SegmentNumber") == number), None)
    if segment is None:
        what = "the segment that the group refers to is not in the segmentation"
        yield Violation("TID 1411", where, what, "Refer to a segment number that exists.")
        return
    for _, item in children(group, where):
        tracked, named = str(item.get("UID")), name_of(item)
        if named == key(TRACKING_UID) and segment.get("TrackingUID") and tracked != str(segment.TrackingUID):
            what = "group and segment have different tracking UIDs"
            yield Violation("TID 1411", where, what, "Write the TrackingUID of the segment into the group.")
        kind = coded(segment, "SegmentedPropertyTypeCodeSequence")
        if named == key(FINDING) and coded(item, "ConceptCodeSequence") != kind:
            what = "finding of the group and type of the segment differ"
            yield Violation("TID 1411", where, what, "Refer to the segment of the finding.")


def _evidence(document: Dataset) -> Iterator[Violation]:
    """Check that every object referred to is listed as evidence (PS3.3 C.17.2)."""
    listed = {
        str(sop.get("ReferencedSOPInstanceUID"))
        for keyword in _EVIDENCE
        for study in document.get(keyword, ())
        for series in study.get("ReferencedSeriesSequence", ())
        for sop in series.get("ReferencedSOPSequence", ())
    }
    for where, item in walk(document):
        for reference in item.get("ReferencedSOPSequence", ()):
            if str(reference.get("ReferencedSOPInstanceUID")) not in listed:
                what = "the object referred to is not listed as evidence"
                yield Violation("PS3.3 C.17.2", where, what, "List it in the evidence sequence.")


def _representations(header: Dataset) -> Iterator[Violation]:
    """Check that every standard element has a value representation that PS3.6 allows."""
    for element in header.iterall():
        if element.tag.is_private or not dictionary_has_tag(element.tag):
            continue
        if element.VR not in dictionary_VR(element.tag).split(" or "):
            what = f"{element.keyword} has the VR {element.VR}"
            yield Violation("PS3.6", str(element.tag), what, f"Write it as {dictionary_VR(element.tag)}.")


def _promises(header: Dataset) -> Iterator[Violation]:
    """Check what we promise of our own objects beyond the standard."""
    if header.get("Manufacturer") != OURS:
        return
    if header.get("ContentQualification") != "RESEARCH":
        yield Violation("lnc-dicom", "top", "Content Qualification is not RESEARCH", "Mark the object as research.")
    if "RESEARCH" not in str(header.get("SeriesDescription")):
        yield Violation("lnc-dicom", "top", "Series Description does not say RESEARCH", "Say it where viewers show it.")
    purposes = {
        coded(e, "PurposeOfReferenceCodeSequence")
        for e in header.get("ContributingEquipmentSequence", ())
        if e.get("DeviceUID")
    }
    if ("109102", "DCM") not in purposes:
        what = "no Contributing Equipment with the purpose Processing Equipment and a Device UID"
        yield Violation("IHE AIR 6.5.3.1", "top", what, "Describe the algorithm as Contributing Equipment.")
