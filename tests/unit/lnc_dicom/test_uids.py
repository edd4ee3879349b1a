from pydicom import Dataset
from pydicom.uid import UID

from lnc_dicom.uids import tracking_uid, uid


def _header(study="1.2.3", patient="P1", issuer=""):
    header = Dataset()
    header.StudyInstanceUID, header.PatientID, header.IssuerOfPatientID = study, patient, issuer
    return header


def test_the_same_names_give_the_same_valid_uid_for_ever():
    assert uid("seg", "1.2.3") == "2.25.325489016687382077344192637795113657913"
    assert UID(uid("seg", "1.2.3")).is_valid


def test_names_do_not_run_into_each_other():
    assert uid("ab", "c") != uid("a", "bc")


def test_a_structure_is_followed_through_the_studies_of_a_patient():
    assert tracking_uid(_header("1.2.3"), "left caudate") == tracking_uid(_header("1.2.4"), "left caudate")
    assert tracking_uid(_header(), "left caudate") != tracking_uid(_header(), "right caudate")
    assert tracking_uid(_header(patient="P1"), "x") != tracking_uid(_header(patient="P2"), "x")


def test_the_same_number_of_another_hospital_is_another_patient():
    assert tracking_uid(_header(issuer="A"), "x") != tracking_uid(_header(issuer="B"), "x")


def test_without_a_patient_id_only_the_study_is_followed():
    assert tracking_uid(_header("1.2.3", ""), "x") != tracking_uid(_header("1.2.4", ""), "x")
