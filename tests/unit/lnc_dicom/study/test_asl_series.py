import pytest
from pydicom.uid import generate_uid

from lnc_dicom.study.attributes import attributes_of
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_maps import map_series_of
from lnc_dicom.types import Role
from tests.perfusion import head, write_mosaics, write_volumes

PASL = 'tSequenceFileName = ""%SiemensSeq%\\ep2d_pasl""'
STUDY = "1.2.5"


def _named(number, description, **values):
    def change(dataset, _):
        dataset.SeriesNumber, dataset.SeriesDescription, dataset.ProtocolName = number, description, description
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


def _roles(folder):
    used, _ = map_series_of([(s, attributes_of(s)) for s in read_study([folder]).series])
    return {role: [int(p.header.SeriesNumber) for p in s.parts] for role, s in used.items()}


def test_mosaics_in_a_name_of_any_language_are_labelling_by_their_sequence(tmp_path):
    change = _named(9, "Durchblutung", ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    write_mosaics(tmp_path, [head()] * 4, protocol=PASL, change=change)
    assert _roles(tmp_path) == {Role.LABELLING: [9]}


@pytest.mark.parametrize("name", ["pcasl_m0", "Referenz", "M0_Kalibrierung_asl"])
def test_m0_is_found_in_one_mosaic_of_its_own_whatever_its_name(tmp_path, name):
    write_mosaics(tmp_path / "a", [head()] * 4, protocol=PASL, change=_named(9, "pcasl"))
    write_mosaics(tmp_path / "b", [head()], protocol=PASL, change=_named(10, name))
    assert _roles(tmp_path) == {Role.LABELLING: [9], Role.M0: [10]}


def _split(folder, numbers, times, name="asl_2d_tra"):
    for number, time in zip(numbers, times, strict=True):
        write_volumes(
            folder / str(number),
            [head()],
            series_uid=generate_uid(),
            study_uid=STUDY,
            change=_named(number, name, SeriesTime=time),
        )


@pytest.mark.parametrize("times", [["120000"] * 3, ["120000", "120005", "120010"]])
def test_one_acquisition_in_a_series_for_every_volume_is_joined(tmp_path, times):
    _split(tmp_path, [18001, 18002, 18003], times)
    assert _roles(tmp_path) == {Role.LABELLING: [18001, 18002, 18003]}


def test_two_runs_that_a_scanner_split_are_not_joined(tmp_path):
    _split(tmp_path, [18001, 18002, 18003, 18004, 18005], ["120000"] * 3 + ["121500"] * 2)
    assert _roles(tmp_path) == {Role.LABELLING: [18001, 18002, 18003]}


def test_m0_beside_a_split_acquisition_is_m0(tmp_path):
    _split(tmp_path, [18001, 18002], ["120000"] * 2)
    _split(tmp_path, [19001], ["121000"], "asl_2d_tra_M0")
    assert _roles(tmp_path) == {Role.LABELLING: [18001, 18002], Role.M0: [19001]}
