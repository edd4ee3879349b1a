import math

import pytest
from pydicom import Dataset

from lnc_dicom.study.demographics import demographics_of


def _header(**attributes):
    header = Dataset()
    for name, value in attributes.items():
        setattr(header, name, value)
    return header


@pytest.mark.parametrize(
    ("age_and_sex_known", "years"), [("057Y", 57), ("018M", 1.5), ("026W", 0.4983), ("000D", 0), ("120Y", 120)]
)
def test_an_age_is_read_in_years_whatever_its_unit(age_and_sex_known, years):
    assert demographics_of(_header(PatientAge=age_and_sex_known)).age == pytest.approx(years, abs=1e-3)


def test_a_missing_age_is_computed_from_the_dates_of_birth_and_study():
    header = _header(PatientAge="", PatientBirthDate="19600229", StudyDate="20200301")
    assert demographics_of(header).age == pytest.approx(60.0, abs=0.01)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"PatientAge": "57"},
        {"PatientAge": "999Y"},
        {"PatientBirthDate": "19600101"},
        {"PatientBirthDate": "19600101", "StudyDate": ""},
        {"PatientBirthDate": "20300101", "StudyDate": "20200101"},
        {"PatientBirthDate": "17000101", "StudyDate": "20200101"},
    ],
)
def test_a_missing_or_impossible_age_is_unknown(attributes):
    assert math.isnan(demographics_of(_header(**attributes)).age)


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("born", ["UNKNOWN", "19609999", "1960"])
def test_an_invalid_date_gives_no_age(born):
    header = _header(StudyDate="20200101")
    header.add_new("PatientBirthDate", "LO", born)
    assert math.isnan(demographics_of(header).age)


@pytest.mark.parametrize(("age_and_sex_known", "male"), [("M", 1.0), ("F", 0.0), ("O", None), ("", None)])
def test_only_the_sexes_m_and_f_are_known_to_the_model(age_and_sex_known, male):
    found = demographics_of(_header(PatientSex=age_and_sex_known, PatientAge="057Y"))
    assert found.is_known is (male is not None)
    assert math.isnan(found.male) if male is None else found.male == male
