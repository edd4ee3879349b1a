"""Values of an SR → data types of FHIR R4."""

from __future__ import annotations

from typing import Any

from pydicom import Dataset

from lnc_dicom.quantities import QUANTITIES

_SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
}
_UCUM = {properties.unit.value: properties.ucum for properties in QUANTITIES.values()}
"""Units as UCUM spells them, by their spelling in DICOM."""
_LOCAL = "urn:lnc-dicom:codes"
"""Coding system of our own codes (99LNC)."""
Json = dict[str, Any]


def concept(code: Dataset) -> Json:
    """Map a coded entry to a CodeableConcept."""
    system = _SYSTEMS.get(str(code.CodingSchemeDesignator), _LOCAL)
    return {"coding": [{"system": system, "code": str(code.CodeValue), "display": str(code.CodeMeaning)}]}


def quantity(item: Dataset) -> Json:
    """Give the number of a NUM item with its unit, or the reason why it has no value."""
    measured = item.get("MeasuredValueSequence")
    if not measured:
        reason = {"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown"}
        return {"dataAbsentReason": {"coding": [reason]}}
    unit = measured[0].MeasurementUnitsCodeSequence[0]
    code = str(unit.CodeValue)
    return {
        "valueQuantity": {
            "value": float(measured[0].NumericValue),
            "unit": str(unit.CodeMeaning),
            "system": _SYSTEMS["UCUM"],
            "code": _UCUM.get(code, code),
        }
    }


def about_patient(document: Dataset) -> Json:
    """Refer to the patient by Patient ID and its issuer alone; the receiver resolves the reference."""
    number = str(document.get("PatientID") or "")
    if not number:
        return {"type": "Patient", "display": "not identified"}
    identifier: Json = {"value": number}
    if document.get("IssuerOfPatientID"):
        identifier["assigner"] = {"display": str(document.IssuerOfPatientID)}
    return {"type": "Patient", "identifier": identifier}


def about_study(document: Dataset) -> Json:
    """Refer to the study by its UID."""
    return {"type": "ImagingStudy", "identifier": uid_identifier(document.StudyInstanceUID)}


def uid_identifier(uid: object) -> Json:
    """Map a DICOM UID to an Identifier."""
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}


def issued(document: Dataset) -> str:
    """Map Content Date and Time to an instant, with the time zone."""
    day, time, zone = str(document.ContentDate), str(document.ContentTime), str(document.TimezoneOffsetFromUTC)
    clock = f"{time[:2]}:{time[2:4]}:{time[4:6]}"
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock}{zone[:3]}:{zone[3:]}"
