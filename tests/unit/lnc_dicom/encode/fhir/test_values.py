import pytest
from pydicom import Dataset
from pydicom.sr.coding import Code

from lnc_dicom.codes import ML_PER_100_G_AND_MINUTE, NO_UNITS, PREDICTED_FA, VOLUME
from lnc_dicom.encode.fhir.values import about_patient, concept, issued, quantity, uid_identifier
from lnc_dicom.encode.sr.items import number_item


def _code(code):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


@pytest.mark.parametrize(
    ("code", "system"),
    [
        (VOLUME, "http://snomed.info/sct"),
        (Code("24590-2", "LN", "Brain MRI"), "http://loinc.org"),
        (PREDICTED_FA, "urn:lnc-dicom:codes"),
    ],
)
def test_a_code_has_the_system_of_its_scheme(code, system):
    assert concept(_code(code)) == {"coding": [{"system": system, "code": code.value, "display": code.meaning}]}


@pytest.mark.parametrize(("unit", "ucum"), [(ML_PER_100_G_AND_MINUTE, "mL/(100.g)/min"), (NO_UNITS, "1")])
def test_a_number_has_its_unit_as_ucum_spells_it(unit, ucum):
    found = quantity(number_item(PREDICTED_FA, 47.13, unit, 2)[0])["valueQuantity"]
    assert (found["value"], found["code"], found["unit"]) == (47.13, ucum, unit.meaning)


def test_a_number_without_a_value_says_that_it_is_unknown():
    item = Dataset()
    item.MeasuredValueSequence = []
    assert quantity(item)["dataAbsentReason"]["coding"][0]["code"] == "unknown"


@pytest.mark.parametrize(
    ("patient", "issuer", "expected"),
    [
        ("A1", "", {"type": "Patient", "identifier": {"value": "A1"}}),
        ("A1", "HOME", {"type": "Patient", "identifier": {"value": "A1", "assigner": {"display": "HOME"}}}),
        ("", "HOME", {"type": "Patient", "display": "not identified"}),
    ],
)
def test_the_patient_is_known_by_number_and_issuer_only(patient, issuer, expected):
    document = Dataset()
    document.PatientID, document.IssuerOfPatientID, document.PatientName = patient, issuer, "CANARY^BIRD"
    assert about_patient(document) == expected


@pytest.mark.parametrize(("zone", "written"), [("+0000", "+00:00"), ("-0330", "-03:30")])
def test_the_time_is_an_instant_with_its_zone(zone, written):
    document = Dataset()
    document.ContentDate, document.ContentTime, document.TimezoneOffsetFromUTC = "20260102", "030405.000006", zone
    assert issued(document) == f"2026-01-02T03:04:05{written}"


def test_a_uid_is_an_oid():
    assert uid_identifier("2.25.1") == {"system": "urn:dicom:uid", "value": "urn:oid:2.25.1"}
