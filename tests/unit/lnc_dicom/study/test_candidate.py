from lnc_dicom.study.attributes import attributes_of
from lnc_dicom.study.candidate import Candidate
from tests.perfusion import head, only_series, write_mosaics, write_volumes


def _candidate(folder):
    series = only_series(folder)
    return Candidate(series, attributes_of(series))


def test_every_mosaic_is_a_volume(tmp_path):
    write_mosaics(tmp_path, [head(), head()], protocol="")
    assert _candidate(tmp_path).volumes == 2


def test_images_at_one_place_are_volumes(tmp_path):
    write_volumes(tmp_path, [head(), head(), head()], series_uid="1.2.3", study_uid="1.2.4")
    assert _candidate(tmp_path).volumes == 3
