import pytest

from lnc_dicom.study.selection import FailedSeries, Selection
from lnc_dicom.types import Role
from tests.headers import series_of


def test_a_failed_series_is_named_by_its_number_alone():
    text = str(FailedSeries(series_of(SeriesNumber=3, SeriesDescription="T1 of somebody"), "LNC-105", "a gap"))
    assert text == "series 3: LNC-105 a gap"
    assert str(FailedSeries(series_of(), "LNC-105", "a gap")) == "a T1-weighted series: LNC-105 a gap"


def test_the_roles_of_a_selection_cannot_be_changed():
    selection = Selection(series_of(), (), {Role.M0: series_of()})
    with pytest.raises(TypeError):
        selection.map_series[Role.M0] = series_of()
