import pydicom
import pytest

from lnc_dicom.errors import SeveralPatients
from lnc_dicom.study.priors import OUR_NAME
from lnc_dicom.study.read import read_study
from tests.factories import write_series


def _change(path, **attributes):
    dataset = pydicom.dcmread(path)
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


@pytest.mark.parametrize(
    ("name", "value"), [("PatientID", "OTHER"), ("PatientName", "OTHER^HEAD"), ("PatientBirthDate", "19700101")]
)
def test_a_study_that_names_two_patients_is_refused_without_naming_them(tmp_path, name, value):
    paths = write_series(tmp_path, change=lambda d: setattr(d, "PatientBirthDate", "19600101"))
    _change(paths[3], **{name: value})
    with pytest.raises(SeveralPatients, match=name) as refused:
        read_study([tmp_path])
    assert value not in str(refused.value)
    assert refused.value.code == "LNC-116"


def test_a_map_of_another_patient_is_compared_too(tmp_path):
    paths = write_series(tmp_path)
    _change(paths[0], SeriesInstanceUID="1.2.3", ImageType=["DERIVED", "PRIMARY", "FA"], PatientID="OTHER")
    with pytest.raises(SeveralPatients):
        read_study([tmp_path])


def test_a_name_that_is_missing_or_written_otherwise_is_the_same_patient(tmp_path):
    paths = write_series(tmp_path)
    _change(paths[0], PatientName="", PatientID="")
    _change(paths[1], PatientName="Demo^Sample Head^^")
    assert len(read_study([tmp_path]).series[0].instances) == len(paths)


def test_a_result_of_ours_may_still_carry_the_name_before_its_correction(tmp_path):
    paths = write_series(tmp_path)
    _change(paths[0], SeriesInstanceUID="1.2.3", Manufacturer=OUR_NAME, PatientID="BEFORE")
    assert len(read_study([tmp_path]).series) == 2


def test_an_object_of_another_patient_under_the_same_uid_refuses_the_study(tmp_path):
    paths = write_series(tmp_path)
    dataset = pydicom.dcmread(paths[0])
    dataset.PatientID = "OTHER"
    dataset.save_as(tmp_path / "again.dcm")
    with pytest.raises(SeveralPatients, match="PatientID"):
        read_study([tmp_path])
