"""A structured report → where it breaks TID 1500, the templates included (PS3.16), and rules outside of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lnc_dicom.validate.content_tree import Key, Violation, children, coded, key, name_of, template_of, walk
from lnc_dicom.validate.template_rows import check_children
from lnc_dicom.validate.tid1500 import (
    DERIVATION,
    DEVICE_UID,
    GROUP_NAME,
    GROUPS,
    IMAGE_REGION,
    MEASUREMENTS_NAME,
    METHOD,
    REFERENCED_SEGMENT,
    REGIONS,
    REPORT_TITLES,
    ROOT,
    SOURCE_IMAGE,
    SOURCE_SERIES,
    UNCERTAINTIES,
    UNITS,
)

_DCM = {key(code) for code in codes.DCM.concepts.values()}
_MINIMUM_COUNT = {"POINT": 2, "MULTIPOINT": 2, "POLYLINE": 4, "CIRCLE": 4, "ELLIPSE": 8}
"""Minimum count of 2D graphic data, by graphic type (PS3.3 C.18.6.1.2)."""


def check_report(document: Dataset) -> Iterator[Violation]:
    """Check an SR with a title of CID 7021, or that names template 1500, against TID 1500; no other SR."""
    if name_of(document) not in REPORT_TITLES and template_of(document) != "1500":
        return
    if template_of(document) != "1500":
        yield Violation("TID 1500", "1", "the root does not name its template", "Write Content Template Sequence 1500.")
    yield from check_children(document, ROOT, "TID 1500", "1")
    yield from _containers(document)
    yield from _device(document)
    for where, item in walk(document):
        yield from _codes(item, where)
        yield from _numbers(item, where)
        yield from _graphics(item, where)


def groups(document: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Give the measurement groups with their positions."""
    for where, container in children(document, "1"):
        if name_of(container) == MEASUREMENTS_NAME:
            yield from ((w, c) for w, c in children(container, where) if name_of(c) == GROUP_NAME)


def _containers(document: Dataset) -> Iterator[Violation]:
    """Check every group against its template; Imaging Measurements may hold nothing but groups."""
    for where, container in children(document, "1"):
        if name_of(container) != MEASUREMENTS_NAME:
            continue
        for place, item in children(container, where):
            if name_of(item) != GROUP_NAME or item.get("ValueType") != "CONTAINER":
                yield Violation("TID 1500", place, "not a measurement group", "Put content into measurement groups.")
            elif item.get("RelationshipType") != "CONTAINS":
                yield Violation("TID 1500", place, "a group not related by CONTAINS", "Relate groups by CONTAINS.")
            else:
                yield from _group(item, place)


def _group(group: Dataset, where: str) -> Iterator[Violation]:
    """Check a measurement group against TID 1410, 1411 or 1501."""
    identifier = template_of(group)
    if identifier not in GROUPS:
        what = "the group names none of the templates 1410, 1411 and 1501"
        yield Violation("TID 1500", where, what, "Write Content Template Sequence in the group.")
        return
    template = f"TID {identifier}"
    yield from check_children(group, GROUPS[identifier], template, where)
    yield from _algorithm(group, where)
    yield from _repeated(group, template, where)
    if identifier in REGIONS:
        yield from _region(group, identifier, where)


def _algorithm(group: Dataset, where: str) -> Iterator[Violation]:
    """Check that name and version of an algorithm go together (TID 4019)."""
    names = Counter(name_of(child) for _, child in children(group, where))
    if names[key(codes.DCM.AlgorithmName)] != names[key(codes.DCM.AlgorithmVersion)]:
        what = "an algorithm without name or without version"
        yield Violation("TID 4019", where, what, "Write Algorithm Name and Algorithm Version, both mandatory.")


def _repeated(group: Dataset, template: str, where: str) -> Iterator[Violation]:
    """Find measurements that occur twice: a reader could not tell which one is right."""
    found: set[tuple[Key | None, Key | None, Key | None]] = set()
    for place, child in children(group, where):
        if child.get("ValueType") != "NUM":
            continue
        identity = (name_of(child), _modifier(child, DERIVATION), _modifier(child, METHOD))
        if identity in found:
            what = "the same measurement occurs twice, with the same derivation and method"
            yield Violation(template, place, what, "Write it once, or distinguish the two by derivation or method.")
        found.add(identity)


def _modifier(item: Dataset, concept: Code) -> Key | None:
    wanted = key(concept)
    found = (coded(c, "ConceptCodeSequence") for _, c in children(item, "") if name_of(c) == wanted)
    return next(found, None)


def _region(group: Dataset, identifier: str, where: str) -> Iterator[Violation]:
    """Check the conditions of TID 1410 and 1411: one kind of region; for a segment, the images that it was drawn on."""
    present = {(str(c.get("ValueType")), name_of(c)) for _, c in children(group, where)}
    kinds = [kind for kind, code in REGIONS[identifier] if (kind, key(code)) in present]
    if len(kinds) != 1:
        what = "the group has no region" if not kinds else "the group has more than one kind of region"
        yield Violation(f"TID {identifier}", where, what, "Refer to one segment, or give one region.")
    names = {name for _, name in present}
    if key(REFERENCED_SEGMENT) in names and not names & {key(SOURCE_IMAGE), key(SOURCE_SERIES)}:
        what = "a segment without the images that it was drawn on"
        yield Violation(f"TID {identifier}", where, what, "Write Source Series or Source Images for Segmentation.")


def _device(document: Dataset) -> Iterator[Violation]:
    """Check that the device observer is one of the Contributing Equipment (IHE AIR 6.5.3.1)."""
    equipment = {str(e.DeviceUID) for e in document.get("ContributingEquipmentSequence", ()) if e.get("DeviceUID")}
    for where, item in children(document, "1"):
        if name_of(item) == key(DEVICE_UID) and str(item.get("UID")) not in equipment:
            what = "the device observer is not in Contributing Equipment"
            yield Violation("IHE AIR 6.5.3.1", where, what, "Write the same Device UID in both.")


def _codes(item: Dataset, where: str) -> Iterator[Violation]:
    """Check that codes of the scheme DCM are in the dictionary of PS3.16 Annex D."""
    for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
        code = coded(item, keyword)
        if code is not None and code[1] == "DCM" and code not in _DCM and not _is_modality(item):
            what = "a code of the scheme DCM that PS3.16 Annex D does not have"
            yield Violation("PS3.16 D", where, what, "Take a code that exists, or one of a scheme of your own (99…).")


def _is_modality(item: Dataset) -> bool:
    """Whether the item is a modality: DCM codes of letters (CID 29), which the dictionary lists under other names."""
    return name_of(item) == key(codes.DCM.Modality)


def _numbers(item: Dataset, where: str) -> Iterator[Violation]:
    """Check that units fit the concept, and that ranges of uncertainty have the unit of their number (TID 310)."""
    if item.get("ValueType") != "NUM" or not item.get("MeasuredValueSequence"):
        return
    unit = coded(item.MeasuredValueSequence[0], "MeasurementUnitsCodeSequence")
    if unit is None or unit[1] != "UCUM":
        yield Violation("PS3.3 C.18.1", where, "a number without a unit in UCUM", "Write the unit as a UCUM code.")
        return
    fitting = UNITS.get(name_of(item) or ("", ""))
    if fitting is not None and unit[0] not in fitting:
        yield Violation("TID 300", where, "the unit does not fit the concept", f"Write {' or '.join(sorted(fitting))}.")
    for place, child in children(item, where):
        values = child.get("MeasuredValueSequence") if name_of(child) in UNCERTAINTIES else None
        if values and coded(values[0], "MeasurementUnitsCodeSequence") != unit:
            what = "a range of uncertainty in another unit than its number"
            yield Violation("TID 310", place, what, "Write it in the unit of the number.")


def _graphics(item: Dataset, where: str) -> Iterator[Violation]:
    """Check that points are pairs, and enough for the graphic type (PS3.3 C.18.6); a region is not several points."""
    if item.get("ValueType") != "SCOORD":
        return
    data, kind = item.get("GraphicData") or [], str(item.get("GraphicType"))
    if kind not in _MINIMUM_COUNT or len(data) % 2 or len(data) < _MINIMUM_COUNT[kind]:
        what = "graphic data that do not fit their graphic type"
        yield Violation("PS3.3 C.18.6", where, what, "Write column and row of every point of the type.")
    if kind == "MULTIPOINT" and name_of(item) == key(IMAGE_REGION):
        yield Violation("TID 1410", where, "an image region of several points", "Draw it as one outline.")
