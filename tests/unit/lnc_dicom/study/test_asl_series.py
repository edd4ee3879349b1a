import pytest
from pydicom.uid import generate_uid

from lnc_dicom.errors import UnpairedVolumes
from lnc_dicom.maps.cbf import cbf_map
from lnc_dicom.options import PerfusionOptions
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


@pytest.mark.parametrize(
    "values",
    [
        {"ImageType": ["DERIVED", "PRIMARY", "ASL", "SUBTRACTION"], "SeriesDescription": "Perfusion_Weighted"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "PERFUSION", "FFE"], "SeriesDescription": "3DpCASL"},
    ],
)
def test_a_perfusion_weighted_image_alone_gets_a_reason_why_there_is_no_cbf(tmp_path, values):
    change = _named(7, description=values["SeriesDescription"], ImageType=values["ImageType"])
    write_volumes(tmp_path, [head()], series_uid="1.2.3", study_uid=STUDY, change=change)
    assert _roles(tmp_path) == {Role.LABELLING: [7]}
    used, _ = map_series_of([(s, attributes_of(s)) for s in read_study([tmp_path]).series])
    with pytest.raises(UnpairedVolumes):
        cbf_map(used, PerfusionOptions())


def test_labelling_of_few_slices_is_not_passed_over_silently(tmp_path):
    write_volumes(tmp_path, [head()[:2]] * 3, series_uid="1.2.3", study_uid=STUDY, change=_named(7, "pcasl"))
    assert _roles(tmp_path) == {Role.LABELLING: [7]}


def test_labelling_in_pairs_is_preferred_to_a_kind_that_is_refused(tmp_path):
    for number, name, volumes in ((7, "to_VEPCASL", 8), (8, "pcasl", 4)):
        change = _named(number, name)
        write_volumes(tmp_path / name, [head()] * volumes, series_uid=f"1.2.{number}", study_uid=STUDY, change=change)
    assert _roles(tmp_path) == {Role.LABELLING: [8]}


@pytest.mark.parametrize("name", ["Cerebral Blood Flow", "CBF"])
def test_a_map_of_blood_flow_is_recognised_by_its_name(tmp_path, name):
    change = _named(7, f"{name} asl", ImageType=["DERIVED", "SECONDARY"])
    write_volumes(tmp_path, [head()], series_uid="1.2.3", study_uid=STUDY, change=change)
    assert _roles(tmp_path) == {Role.CBF_MAP: [7]}
