"""Measurement report (TID 1500) → FHIR R4: a bundle of a DiagnosticReport and its Observations.

Follows HL7's "DICOM SR to FHIR" guide: a measurement group is an Observation whose members are its measurements and
qualitative evaluations; its finding site is a BodyStructure, its algorithm a Device. Where the guide needs R5
(ImagingSelection), the study is referred to instead. Ranges of uncertainty and derivations are components.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pydicom
from highdicom.sr.utils import find_content_items
from pydicom import Dataset
from pydicom.sr.codedict import codes

from lnc_dicom.encode.fhir.values import about_patient, about_study, concept, issued, quantity, uid_identifier
from lnc_dicom.encode.objects import EncodedObject
from lnc_dicom.encode.provenance import provenance_of
from lnc_dicom.encode.seg.binary import segmentation
from lnc_dicom.encode.sr.document import measurement_report
from lnc_dicom.outputs import FILES_OF, Output
from lnc_dicom.report import Report

_FINDING, _CATEGORY, _SITE, _METHOD = "121071", "276214006", "363698007", "370129005"
_LATERALITY, _TRACKING_UID, _ALGORITHM, _VERSION = "272741003", "112040", "111001", "111003"
_STRUCTURAL = {_FINDING, _CATEGORY, _SITE, _METHOD}
"""Coded items of a group that do not become members."""
_RADIOLOGY = {"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD", "display": "Radiology"}
_IMAGING = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging"}
_STATUS = "preliminary"
"""Automatic, not reviewed: never final."""
_NAMESPACE = uuid.UUID("5a1f1e34-5f27-4b5e-8c1e-3d2b0f6f2b7d")
Json = dict[str, Any]


def fhir_report(report: Report, now: datetime, objects: Sequence[EncodedObject]) -> str:
    """Give the SR as FHIR; the SR is taken from the objects, or encoded where it is not among them.

    Its UID is the same either way; `now` counts only for a result that was not made before.
    """
    found = next((o for o in objects if o.name in FILES_OF[Output.SR]), None)
    if found is not None:
        return _dump(pydicom.dcmread(io.BytesIO(found.data)))
    provenance = provenance_of(report, now)
    return _dump(measurement_report(report, provenance, segmentation(report, provenance)))


def _dump(document: Dataset) -> str:
    return json.dumps(bundle(document), indent=2, ensure_ascii=False) + "\n"


@dataclass(slots=True)
class _Bundle:
    """Resources collected so far; their UUIDs are derived from document and position, so they never change."""

    document: Dataset = field(repr=False)
    entries: list[Json] = field(default_factory=list)
    devices: dict[tuple[str, str], Json] = field(default_factory=dict)

    def add(self, resource: Json) -> Json:
        """Add a resource and give the reference to it."""
        place = f"{self.document.SOPInstanceUID}/{len(self.entries)}"
        url = f"urn:uuid:{uuid.uuid5(_NAMESPACE, place)}"
        self.entries.append({"fullUrl": url, "resource": resource})
        return {"reference": url}

    def about(self) -> Json:
        """Give the elements that all Observations of the document share."""
        return {
            "status": _STATUS,
            "subject": about_patient(self.document),
            "partOf": [about_study(self.document)],
            "issued": issued(self.document),
        }

    def device(self, name: str, version: str) -> Json:
        """Give the reference to an algorithm, which is added once."""
        if (name, version) not in self.devices:
            device = {
                "resourceType": "Device",
                "manufacturer": str(self.document.Manufacturer),
                "deviceName": [{"name": name, "type": "model-name"}],
                "version": [{"value": version}],
            }
            self.devices[name, version] = self.add(device)
        return self.devices[name, version]


def bundle(document: Dataset) -> Json:
    """Map a measurement report to a Bundle."""
    made = _Bundle(document)
    found = find_content_items(document, name=codes.DCM.MeasurementGroup, recursive=True)
    groups = [made.add(_group(item, made)) for item in found]
    result = {
        "resourceType": "DiagnosticReport",
        "identifier": [uid_identifier(document.SOPInstanceUID)],
        "status": _STATUS,
        "category": [{"coding": [_RADIOLOGY]}],
        "code": concept(document.ConceptNameCodeSequence[0]),
        "subject": about_patient(document),
        "issued": issued(document),
        "imagingStudy": [about_study(document)],
        "result": groups,
        "conclusion": str(document.get("CompletionFlagDescription", "")),
    }
    if document.get("AccessionNumber"):
        order = {"identifier": {"value": str(document.AccessionNumber)}, "type": "ServiceRequest"}
        result["basedOn"] = [order]
    made.add(result)
    entries = [made.entries[-1], *made.entries[:-1]]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": uid_identifier(document.SOPInstanceUID),
        "timestamp": issued(document),
        "entry": entries,
    }


def _group(group: Dataset, made: _Bundle) -> Json:
    """Map a measurement group (TID 1410, 1411, 1501) to an Observation."""
    children = list(group.ContentSequence)
    coded = {_name(c): c for c in children if c.ValueType == "CODE"}
    algorithm = {_name(c): str(c.TextValue) for c in children if c.ValueType == "TEXT"}
    shared = made.about()
    if _ALGORITHM in algorithm:
        shared["device"] = made.device(algorithm[_ALGORITHM], algorithm.get(_VERSION, ""))
    if _SITE in coded:
        shared |= _site(coded[_SITE], children, made)
    members = [
        made.add(_member(child, shared, coded.get(_METHOD)))
        for child in children
        if child.ValueType == "NUM" or (child.ValueType == "CODE" and _name(child) not in _STRUCTURAL)
    ]
    found = {"resourceType": "Observation", **shared, "hasMember": members}
    if _CATEGORY in coded:
        found["category"] = [{"coding": [_IMAGING]}, concept(group.ConceptNameCodeSequence[0])]
        found["code"] = concept(coded[_CATEGORY].ConceptCodeSequence[0])
    else:
        found |= {"category": [{"coding": [_IMAGING]}], "code": concept(group.ConceptNameCodeSequence[0])}
    if _FINDING in coded:
        found["valueCodeableConcept"] = concept(coded[_FINDING].ConceptCodeSequence[0])
    return found


def _site(site: Dataset, children: Sequence[Dataset], made: _Bundle) -> Json:
    """Map a finding site with its side: as text, and as BodyStructure with the tracking UID."""
    place = concept(site.ConceptCodeSequence[0])
    side = next((c for c in site.get("ContentSequence", ()) if _name(c) == _LATERALITY), None)
    structure: Json = {"resourceType": "BodyStructure", "location": place, "patient": about_patient(made.document)}
    text = place["coding"][0]["display"]
    if side is not None:
        structure["locationQualifier"] = [concept(side.ConceptCodeSequence[0])]
        text = f"{text}, {side.ConceptCodeSequence[0].CodeMeaning}"
    tracking = next((c for c in children if c.ValueType == "UIDREF" and _name(c) == _TRACKING_UID), None)
    if tracking is not None:
        structure["identifier"] = [uid_identifier(tracking.UID)]
    extension = {
        "url": "http://hl7.org/fhir/StructureDefinition/bodySite",
        "valueReference": made.add(structure),
    }
    return {"bodySite": {"extension": [extension], "coding": place["coding"], "text": text}}


def _member(item: Dataset, shared: Json, method: Dataset | None) -> Json:
    """Map a measurement (TID 300, 1419) or a qualitative evaluation; its modifiers become components or notes."""
    found: Json = {"resourceType": "Observation", **shared, "category": [{"coding": [_IMAGING]}]}
    found["code"] = concept(item.ConceptNameCodeSequence[0])
    parts = list(item.get("ContentSequence", ()))
    own = next((p for p in parts if p.ValueType == "CODE" and _name(p) == _METHOD), method)
    if own is not None:
        found["method"] = concept(own.ConceptCodeSequence[0])
    found |= _value(item)
    components = [
        {"code": concept(p.ConceptNameCodeSequence[0]), **_value(p)}
        for p in parts
        if p.ValueType in {"NUM", "CODE"} and _name(p) != _METHOD
    ]
    notes = [{"text": str(p.TextValue)} for p in parts if p.ValueType == "TEXT"]
    return found | ({"component": components} if components else {}) | ({"note": notes} if notes else {})


def _value(item: Dataset) -> Json:
    if item.ValueType == "CODE":
        return {"valueCodeableConcept": concept(item.ConceptCodeSequence[0])}
    return quantity(item)


def _name(item: Dataset) -> str:
    """Give the code value of an item's concept name; empty if it has none."""
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else ""
