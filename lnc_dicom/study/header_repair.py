"""Headers of the source images → the same headers, valid, so that our objects can copy them (PS3.5 6.2, PS3.3 C.7).

The only place for repairs. An invalid value is emptied, or removed where the standard allows it; descriptions that are
too long are truncated. Nothing is guessed or filled in. Every repair is reported by attribute, never by value.
"""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Iterator, Sequence

from pydicom import DataElement, Dataset
from pydicom.charset import convert_encodings, decode_element
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.valuerep import MAX_VALUE_LEN, PersonName, validate_value

from lnc_dicom.study.values import NOT_CONVERTED, text
from lnc_dicom.uids import uid

TYPE_2 = {
    **dict.fromkeys(("PatientName", "PatientID", "PatientBirthDate", "PatientSex"), "patient"),
    **dict.fromkeys(("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"), "study"),
}
"""Type 2 attributes, which every object has, if only empty (PS3.3 C.7.1.1, C.7.2.1), with their module."""

COPIED_GROUPS = (0x0010, 0x0012, 0x0038)
"""Patient, clinical trial and visit: every attribute may be copied."""
COPIED = (
    *("IssuerOfAccessionNumberSequence", "ReferringPhysicianIdentificationSequence", "ConsultingPhysicianName"),
    *("ConsultingPhysicianIdentificationSequence", "PhysiciansOfRecordIdentificationSequence", "PhysiciansOfRecord"),
    *("NameOfPhysiciansReadingStudy", "PhysiciansReadingStudyIdentificationSequence", "ReferencedStudySequence"),
    *("ReferencedPatientSequence", "StudyDescription", "ProcedureCodeSequence", "ReasonForVisit"),
    *("ReasonForVisitCodeSequence", "ReasonForPerformedProcedureCodeSequence", "AdmittingDiagnosesDescription"),
    *("AdmittingDiagnosesCodeSequence", "RequestingService", "RequestingServiceCodeSequence", "Manufacturer"),
    *("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "ManufacturerModelName"),
    *("DeviceSerialNumber", "SoftwareVersions", "OperatorsName", "PositionReferenceIndicator", "SeriesDescription"),
)
"""Other attributes that are copied into our objects or described in them."""

_TEXTS = frozenset({"LO", "LT", "SH", "ST", "UT"})
_NEVER_CUT = frozenset({"PatientID", "AccessionNumber", "StudyID", "AdmissionID", "ServiceEpisodeID", "StationName"})
"""A truncated identifier could be that of somebody else."""
_SEXES = ("", "M", "F", "O")
_MAX_CARETS = 4
"""A name has five components at most (PS3.5 6.2.1)."""
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def repair(sources: Sequence[Dataset]) -> tuple[str, ...]:
    """Repair, in place, what our objects copy from their sources; return what was repaired.

    Patient, study and equipment come from the first of the sources, the frame of reference from all of them.
    """
    return (*_repair_frame_of_reference(sources), *_repair_header(sources[0]))


def _repair_frame_of_reference(sources: Sequence[Dataset]) -> Iterator[str]:
    """Give images without a frame of reference that of their series, or a new one: a stack has one (PS3.3 C.7.4.1)."""
    without = [source for source in sources if not text(source, "FrameOfReferenceUID")]
    if without:
        yield "FrameOfReferenceUID missing, one for the whole series is used"
    named = next((found for s in sources if (found := text(s, "FrameOfReferenceUID"))), None)
    for source in without:
        source.FrameOfReferenceUID = named or uid("frame of reference", str(source.SeriesInstanceUID))
        source.setdefault("PositionReferenceIndicator", "")


def _repair_header(header: Dataset) -> Iterator[str]:
    """Decode every value of the header and keep the valid ones; all text is UTF-8 afterwards."""
    encodings = _encodings(header)
    of_groups = [keyword_for_tag(tag) for tag in tuple(header.keys()) if tag.group in COPIED_GROUPS]
    for keyword in dict.fromkeys((*TYPE_2, *COPIED, *filter(None, of_groups))):
        tag = Tag(keyword)
        if tag not in header:
            if keyword in TYPE_2:
                setattr(header, keyword, "")
                yield f"{keyword} missing, left empty"
            continue
        repaired, fault = _repaired(header, keyword, encodings)
        del header[tag]
        if repaired is not None:
            header.add(repaired)
        if fault:
            yield f"{keyword} {fault}"
    header.SpecificCharacterSet = "ISO_IR 192"


def _encodings(header: Dataset) -> list[str]:
    """Give the character sets of the header; the default one (PS3.5 6.1.2.3) where they are unknown."""
    try:
        return list(convert_encodings(header.get("SpecificCharacterSet") or "ISO_IR 6"))
    except (LookupError, ValueError, TypeError, AttributeError):
        return list(convert_encodings("ISO_IR 6"))


def _repaired(header: Dataset, keyword: str, encodings: list[str]) -> tuple[DataElement | None, str]:
    """Give the element as it can be written, None to remove it, and what was wrong with it."""
    vr, tag = dictionary_VR(keyword), Tag(keyword)
    empty = DataElement(tag, vr, "") if keyword in TYPE_2 else None
    try:
        element = copy.deepcopy(header[tag])
        decode_element(element, encodings)
    except NOT_CONVERTED:
        return empty, "unreadable, removed"
    if vr == "SQ":
        sound = element.VR == "SQ" and all(map(_is_valid_item, element.value))
        return (element, "") if sound else (None, "not valid, removed")
    if element.VR == "SQ" or isinstance(element.value, bytes):
        return empty, "of another VR than the standard's, removed"
    return _repaired_values(element, keyword, vr, empty)


def _repaired_values(
    element: DataElement, keyword: str, vr: str, empty: DataElement | None
) -> tuple[DataElement | None, str]:
    values = [str(v) for v in (element.value if isinstance(element.value, MultiValue) else [element.value])]
    if element.is_empty:
        return DataElement(element.tag, vr, ""), ""
    fault = "" if vr == element.VR else f"of VR {element.VR}, written as {vr}"
    if len(values) > 1 and dictionary_VM(keyword) == "1":
        return empty, "with several values, removed"
    longest = MAX_VALUE_LEN.get(vr)
    if vr in _TEXTS and keyword not in _NEVER_CUT and longest and any(len(v) > longest for v in values):
        values, fault = [v[:longest] for v in values], f"truncated to {longest} characters"
    if any(_UNKNOWN in v for v in values):
        fault = "with characters outside its character set"
    if not all(_is_valid(vr, v) for v in values) or (keyword == "PatientSex" and values[0] not in _SEXES):
        return empty, "not valid, " + ("emptied" if empty is not None else "removed")
    made: list[str | PersonName] = [PersonName(v) for v in values] if vr == "PN" else list(values)
    return DataElement(element.tag, vr, made if len(made) > 1 else made[0]), fault


def _is_valid(vr: str, value: str) -> bool:
    """Whether a value keeps the rules of its VR; control characters are none, but in long texts."""
    try:
        validate_value(vr, value, RAISE)
    except (ValueError, TypeError):
        return False
    if vr == "PN" and any(group.count("^") > _MAX_CARETS for group in value.split("=")):
        return False
    plain = value if vr not in {"LT", "ST", "UT"} else value.translate({ord(c): None for c in "\r\n\f\t"})
    return not any(unicodedata.category(c) == "Cc" for c in plain)


def _is_valid_item(item: Dataset) -> bool:
    """Whether every value of a sequence's item can be written."""
    try:
        for element in item:
            if element.VR == "SQ":
                if not all(map(_is_valid_item, element.value)):
                    return False
            elif not element.is_empty and not isinstance(element.value, bytes):
                values = element.value if isinstance(element.value, MultiValue) else [element.value]
                if element.VR in MAX_VALUE_LEN and not all(_is_valid(element.VR, str(v)) for v in values):
                    return False
    except NOT_CONVERTED:
        return False
    return True
