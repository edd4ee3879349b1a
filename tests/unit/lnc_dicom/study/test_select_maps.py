import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import select
from lnc_dicom.types import Reason, Role
from tests.factories import head, layout, write_series


def _set(number, **values):
    def change(dataset):
        dataset.SeriesNumber = number
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


def _units(code):
    def change(dataset):
        dataset.SeriesNumber = 3
        dataset.ImageType, dataset.SeriesDescription = ["DERIVED", "PRIMARY", "CBF"], "CBF"
        mapping, unit = Dataset(), Dataset()
        unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = code, "UCUM", "unit"
        mapping.MeasurementUnitsCodeSequence = [unit]
        dataset.RealWorldValueMappingSequence = [mapping]

    return change


def _roles(tmp_path, *changes):
    study = generate_uid()
    write_series(tmp_path / "t1", study_uid=study)
    for i, change in enumerate(changes):
        write_series(tmp_path / str(i), study_uid=study, change=change)
    selection = select(read_study([tmp_path]))
    return {role: int(s.header.SeriesNumber) for role, s in selection.map_series.items()}, selection


@pytest.mark.parametrize(
    "values",
    [
        {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "FA"]},
        {"ImageType": ["DERIVED", "SECONDARY"], "SeriesDescription": "DTI_FA"},
        {"ImageType": ["DERIVED", "SECONDARY"], "SeriesDescription": "Fractional Aniso."},
    ],
)
def test_an_fa_map_is_recognised_by_its_type_or_its_name(tmp_path, values):
    assert _roles(tmp_path, _set(3, **values))[0] == {Role.FA_MAP: 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]},
        {"ImageType": ["DERIVED", "SECONDARY"], "SeriesDescription": "DTI colFA"},
        {"ImageType": ["DERIVED", "SECONDARY"], "SeriesDescription": "FA color"},
        {"SeriesDescription": "flash FA 15"},
    ],
)
def test_colour_maps_other_maps_and_flip_angles_are_not_fa(tmp_path, values):
    assert _roles(tmp_path, _set(3, **values))[0] == {}


def test_a_cbf_map_from_arterial_spin_labelling_is_absolute(tmp_path):
    roles, _ = _roles(tmp_path, _set(3, ImageType=["DERIVED", "PRIMARY", "ASL", "CBF"], SeriesDescription="CBF"))
    assert roles == {Role.CBF_MAP: 3}


@pytest.mark.parametrize(
    "values",
    [
        {"ImageType": ["DERIVED", "PRIMARY", "ASL", "RCBF"]},
        {"ImageType": ["DERIVED", "PRIMARY", "PERFUSION", "CBF"], "ContrastBolusAgent": "Gd"},
        {"ImageType": ["DERIVED", "PRIMARY", "PERFUSION", "CBF"]},
        {"ImageType": ["DERIVED", "SECONDARY"], "SeriesDescription": "relCBF asl"},
    ],
)
def test_cbf_that_is_named_relative_or_comes_from_a_contrast_agent_is_relative(tmp_path, values):
    assert _roles(tmp_path, _set(3, **values))[0] == {Role.RELATIVE_CBF_MAP: 3}


@pytest.mark.parametrize(("unit", "role"), [("ml/[100]g/min", Role.CBF_MAP), ("1", Role.RELATIVE_CBF_MAP)])
def test_the_coded_unit_makes_a_cbf_map_absolute(tmp_path, unit, role):
    assert _roles(tmp_path, _units(unit))[0] == {role: 3}


def test_of_two_fa_maps_the_finer_is_used_and_the_other_gets_a_reason(tmp_path):
    study = generate_uid()
    write_series(tmp_path / "t1", study_uid=study)
    fa = {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "FA"]}
    for number, spacing_mm in ((3, 2.5), (4, 2.0)):
        array, lps_mm = head(spacing_mm=(spacing_mm,) * 3)
        array, lps_mm = layout(array, lps_mm, (2, 1, 0), (1, 1, 1))
        write_series(tmp_path / str(number), array, lps_mm, study_uid=study, change=_set(number, **fa))
    selection = select(read_study([tmp_path]))
    assert {r: int(s.header.SeriesNumber) for r, s in selection.map_series.items()} == {Role.FA_MAP: 4}
    assert [reason for _, reason in selection.passed_over] == [Reason.OTHER_MAP]


def test_a_study_with_only_a_t1_has_no_series_for_maps(tmp_path):
    assert _roles(tmp_path)[0] == {}


REAL = {
    "philips-ingenia-3t": {Role.DIFFUSION: 2201, Role.LABELLING: 1903},
    "siemens-xa30-enhanced": {Role.FA_MAP: 13, Role.FA_REGISTRATION: 10, Role.RELATIVE_CBF_MAP: 28, Role.LABELLING: 25},
    "siemens-prisma-3t": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_the_series_for_maps_of_real_studies(data, name):
    selection = select(read_study([data / name]))
    assert {role: int(s.header.SeriesNumber) for role, s in selection.map_series.items()} == REAL[name]
