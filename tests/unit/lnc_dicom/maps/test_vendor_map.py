import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.errors import UnknownScale, UnreadableSeries
from lnc_dicom.maps.vendor_map import SCALE_ASSUMED, ScannerMap, load_map, to_cbf, to_fa
from lnc_dicom.study.read import read_study
from lnc_dicom.types import Series


def _map(high, unit=""):
    array = np.linspace(0, high, 1000, dtype=np.float32).reshape(10, 10, 10)
    return ScannerMap(hd.Volume(array, np.eye(4), "PATIENT"), unit)


def test_fa_of_1_is_taken_as_it_is_and_nothing_as_no_number():
    values, caveats = to_fa(_map(0.9))
    assert caveats == ()
    assert np.isnan(values.array[0, 0, 0])
    assert np.nanmax(values.array) == pytest.approx(0.9)


def test_fa_of_1000_is_divided_and_says_so():
    values, caveats = to_fa(_map(1000))
    assert np.nanmax(values.array) == pytest.approx(1)
    assert [c.code for c in caveats] == [SCALE_ASSUMED]


@pytest.mark.parametrize("high", [0.0, 10.0, 4095.0])
def test_fa_of_another_range_is_refused(high):
    with pytest.raises(UnknownScale):
        to_fa(_map(high))


@pytest.mark.parametrize(
    ("unit", "high", "factor"), [("ml/[100]g/min", 5.0, 1), ("ml/min/g", 1.0, 100), ("", 100.0, 1), ("1", 100.0, 1)]
)
def test_cbf_is_brought_to_its_unit(unit, high, factor):
    values, caveats = to_cbf(_map(high, unit))
    assert np.nanmax(values.array) == pytest.approx(high * factor)
    assert bool(caveats) == (unit in {"", "1"})


@pytest.mark.parametrize(("unit", "high"), [("", 4095.0), ("", 1.0), ("s", 100.0)])
def test_cbf_whose_unit_cannot_be_told_is_refused(unit, high):
    with pytest.raises(UnknownScale):
        to_cbf(_map(high, unit))


def test_the_fa_map_of_a_real_scanner_is_brought_to_1(data):
    (series,) = read_study([data / "siemens-xa30-enhanced" / "13_DWI_dir80_PA"]).series
    found = load_map(series)
    values, _ = to_fa(found)
    assert found.volume.array.max() == 1000
    assert np.nanmax(values.array) == 1


def test_a_map_in_which_a_slice_is_missing_is_refused_by_code(data):
    (series,) = read_study([data / "philips-ingenia-3t" / "pcasl"]).series
    ordered = sorted(series.instances, key=lambda i: i.header.ImagePositionPatient[2])
    with pytest.raises(UnreadableSeries):
        load_map(Series(series.uid, tuple(ordered[:10] + ordered[11:])))
