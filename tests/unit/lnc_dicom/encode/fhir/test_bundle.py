import copy
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.codes import STRUCTURE
from lnc_dicom.encode import encode
from lnc_dicom.encode.fhir.bundle import bundle, fhir_report
from lnc_dicom.outputs import Output
from lnc_dicom.study.priors import prior_of
from tests.factories import NOW


@pytest.fixture
def found(everything):
    return bundle(everything.datasets["measurements.dcm"])


def _resources(found, kind):
    return [e["resource"] for e in found["entry"] if e["resource"]["resourceType"] == kind]


def _references(value):
    if isinstance(value, dict):
        if "reference" in value:
            yield value["reference"]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def test_a_report_comes_first_and_every_reference_leads_somewhere(found):
    assert found["resourceType"] == "Bundle"
    assert found["entry"][0]["resource"]["resourceType"] == "DiagnosticReport"
    urls = [e["fullUrl"] for e in found["entry"]]
    assert len(urls) == len(set(urls))
    assert set(_references(found)) <= set(urls)
    assert set(urls) - set(_references(found)) == {urls[0]}  # nothing but the report stands alone


def test_nothing_is_final_and_the_banner_is_there(found):
    (report,) = _resources(found, "DiagnosticReport")
    statuses = {r["status"] for r in (report, *_resources(found, "Observation"))}
    assert statuses == {"preliminary"}
    assert "NOT FOR DIAGNOSTIC USE" in report["conclusion"]


def test_every_structure_has_a_group_with_its_numbers_in_ucum(found, everything):
    by_url = {e["fullUrl"]: e["resource"] for e in found["entry"]}
    (report,) = _resources(found, "DiagnosticReport")
    groups = [by_url[r["reference"]] for r in report["result"]]
    for measurement in everything.report.measurements:
        structure = measurement.structure
        site = next(g for g in groups if _is_of(g, structure, by_url))
        members = [by_url[m["reference"]] for m in site["hasMember"]]
        numbers = {m["code"]["coding"][0]["code"]: m["valueQuantity"] for m in members if "valueQuantity" in m}
        assert numbers["118565006"]["value"] == pytest.approx(measurement.volume_ml * 1000, abs=0.06)
        assert numbers["118565006"]["code"] == "mm3"
        assert numbers["110808"] == {
            "value": 0.4,
            "unit": "no units",
            "system": "http://unitsofmeasure.org",
            "code": "1",
        }
        assert numbers["126390"]["code"] == "mL/(100.g)/min"


def _is_of(group, structure, by_url):
    if "bodySite" not in group:
        return False
    body = by_url[group["bodySite"]["extension"][0]["valueReference"]["reference"]]
    side = body.get("locationQualifier", [{"coding": [{"display": ""}]}])[0]["coding"][0]["display"]
    code = body["location"]["coding"][0]["code"]
    return (code, side.lower()) == (STRUCTURE[structure.name].value, structure.side.value)


def _predicted(found):
    return [o for o in _resources(found, "Observation") if o["code"]["coding"][0]["code"] in {"PRED-FA", "PRED-CBF"}]


def test_nothing_that_was_predicted_is_an_observation(found):
    assert _predicted(found) == []
    assert "PRED" not in json.dumps(found)


def test_predictions_carry_method_interval_and_device(everything):
    predicted = _predicted(bundle(everything.datasets["predictions.dcm"]))
    assert len(predicted) == 12
    for one in predicted:
        assert one["method"]["coding"][0]["code"] == "PRED-T1"
        assert one["device"]["reference"].startswith("urn:uuid:")
        ranges = {c["code"]["coding"][0]["code"] for c in one["component"] if "valueQuantity" in c}
        assert {"371886008", "371885007"} <= ranges


def test_patient_and_study_are_referred_to_by_what_dicom_has(found, everything):
    source = everything.report.sources[0]
    (report,) = _resources(found, "DiagnosticReport")
    assert report["subject"] == {"type": "Patient", "identifier": {"value": source.PatientID}}
    assert report["imagingStudy"][0]["identifier"]["value"] == f"urn:oid:{source.StudyInstanceUID}"
    assert "BIRD" not in json.dumps(found)  # of the name nothing


def test_a_patient_without_identifier_is_not_invented(everything):
    document = copy.deepcopy(everything.datasets["measurements.dcm"])
    document.PatientID = ""
    (report,) = _resources(bundle(document), "DiagnosticReport")
    assert report["subject"] == {"type": "Patient", "display": "not identified"}


def test_what_r4_demands_is_there(found):
    for one in _resources(found, "Observation"):
        assert {"status", "code", "subject"} <= set(one)
        has_value = {"valueQuantity", "valueCodeableConcept", "dataAbsentReason", "hasMember"} & set(one)
        assert has_value, one["code"]
    for body in _resources(found, "BodyStructure"):
        assert "patient" in body
    for device in _resources(found, "Device"):
        assert {"name", "type"} == set(device["deviceName"][0])


def test_it_is_the_same_with_and_without_the_sr_among_the_objects_and_every_time(everything):
    report = everything.report
    with_sr = fhir_report(report, NOW, encode(report, NOW, (Output.SR,)))
    assert with_sr == fhir_report(report, NOW, ()) == fhir_report(report, NOW, ())
    groups = json.loads(with_sr)["entry"][0]["resource"]["result"]
    assert len(groups) >= len(STRUCTURES)


def test_a_result_made_again_has_the_same_sr_uid_whether_or_not_the_sr_is_written(everything):
    document = everything.datasets["measurements.dcm"]
    study = replace(everything.report.study, priors=(prior_of(document),))
    again, later = replace(everything.report, study=study), NOW + timedelta(days=3)
    for objects in ((), encode(again, later, (Output.SR,))):
        found = json.loads(fhir_report(again, later, objects))
        assert found["identifier"]["value"] == f"urn:oid:{document.SOPInstanceUID}"
