"""Values of an SR → data types of FHIR R4."""

from __future__ import annotations

from typing import Any

from pydicom import Dataset

_SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
}
_UNITS = {"ml/[100]g/min": "mL/(100.g)/min"}
"""Units that DICOM spells in its own way, in UCUM's."""
_LOCAL = "urn:lnc-dicom:codes"
"""Coding system of what has no standard code (99LNC)."""
Json = dict[str, Any]


def concept(code: Dataset) -> Json:
    """Give a coded entry as CodeableConcept."""
    system = _SYSTEMS.get(str(code.CodingSchemeDesignator), _LOCAL)
    return {"coding": [{"system": system, "code": str(code.CodeValue), "display": str(code.CodeMeaning)}]}


def quantity(item: Dataset) -> Json:
    """Give the number of a NUM item with its unit; why there is none where there is none."""
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
            "code": _UNITS.get(code, code),
        }
    }


def about_patient(document: Dataset) -> Json:
    """Refer to the patient by the identifier that DICOM has, no more; the receiver looks for the person."""
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
    """Give a DICOM UID as Identifier."""
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}


def issued(document: Dataset) -> str:
    """Give the time of the content as instant, with the zone."""
    day, time, zone = str(document.ContentDate), str(document.ContentTime), str(document.TimezoneOffsetFromUTC)
    clock = f"{time[:2]}:{time[2:4]}:{time[4:6]}"
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock}{zone[:3]}:{zone[3:]}"
