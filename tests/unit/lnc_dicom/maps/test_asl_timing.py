import dataclasses

import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.errors import UnsupportedLabelling
from lnc_dicom.maps.asl_timing import ASSUMED, ImageTimes, timing_of
from lnc_dicom.maps.dcm2niix import Converted, convert
from lnc_dicom.maps.labelling import read_labelling
from lnc_dicom.options import PerfusionOptions
from lnc_dicom.study.read import read_study
from lnc_dicom.types import Series
from tests.factories import write_series

GRID = hd.Volume(np.zeros((3, 2, 2), np.float32), np.eye(4)[[2, 1, 0, 3]], "PATIENT")
"""Slices along S."""


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> Series:
    folder = tmp_path_factory.mktemp("asl")
    write_series(folder)
    return read_study([folder]).series[0]


def _timing(series, options=None, lps_mm=None, **told):
    converted = Converted(np.zeros((2, 2, 3, 2), np.float32), np.eye(4) if lps_mm is None else lps_mm, description=told)
    return timing_of(series, converted, GRID, options or PerfusionOptions())


def test_timing_from_the_header_needs_no_caveat(series):
    timing = _timing(series, ArterialSpinLabelingType="PCASL", LabelingDuration=1.5, PostLabelingDelay=1.7)
    assert (timing.kind, timing.duration_ms, timing.delay_ms.ravel().tolist()) == ("PCASL", 1500.0, [1700.0])
    assert timing.caveats == ()


def test_missing_timing_is_taken_from_the_settings_and_named_in_a_caveat(series):
    timing = _timing(series, PerfusionOptions(labelling_duration_ms=1650, post_label_delay_ms=1525))
    assert (timing.duration_ms, timing.delay_ms.ravel().tolist()) == (1650.0, [1525.0])
    (caveat,) = timing.caveats
    assert caveat.code == ASSUMED
    assert all(word in caveat.text for word in ("pseudo-continuous", "duration 1650 ms", "delay 1525 ms"))


def test_pulsed_labelling_takes_the_bolus_and_the_inversion_time(series):
    timing = _timing(
        series, ArterialSpinLabelingType="PASL", BolusDuration=0.7, InversionTime=1.8, LabelingDuration=9.0
    )
    assert timing.is_pulsed
    assert (timing.duration_ms, timing.delay_ms.ravel().tolist()) == (700.0, [1800.0])


@pytest.mark.parametrize("name", ["PostLabelingDelay", "InitialPostLabelDelay"])
def test_a_list_of_equal_delays_is_one_delay(series, name):
    timing = _timing(series, ArterialSpinLabelingType="PCASL", LabelingDuration=1.8, **{name: [1.6, 1.6]})
    assert (timing.delay_ms.ravel().tolist(), timing.caveats) == ([1600.0], ())


@pytest.mark.parametrize("name", ["PostLabelingDelay", "InitialPostLabelDelay"])
def test_several_delays_are_refused_where_no_volume_names_its_own(series, name):
    with pytest.raises(UnsupportedLabelling, match="6 post-label delays from 250 to 1500 ms"):
        _timing(series, ArterialSpinLabelingType="PCASL", **{name: [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]})


def test_delays_that_the_volumes_name_count_before_a_list(series):
    converted = Converted(np.zeros((2, 2, 3, 2), np.float32), np.eye(4), description={"PostLabelingDelay": [0.5, 1.0]})
    timing = timing_of(series, converted, GRID, PerfusionOptions(), ImageTimes((1000.0, 500.0)))
    assert timing.delay_ms.ravel().tolist() == [500.0]


def test_the_delay_of_the_volumes_counts_where_the_description_has_none(series):
    converted = Converted(np.zeros((2, 2, 3, 2), np.float32), np.eye(4), description={"LabelingDuration": 1.8})
    timing = timing_of(series, converted, GRID, PerfusionOptions(), ImageTimes((1500.0,)))
    assert (timing.kind, timing.delay_ms.ravel().tolist(), timing.caveats) == ("PCASL", [1500.0], ())


@pytest.mark.parametrize(("coded", "kind"), [("PULSED", "PASL"), ("PSEUDOCONTINUOUS", "PCASL"), ("CONTINUOUS", "CASL")])
def test_the_kind_of_labelling_comes_from_its_attribute(tmp_path, coded, kind):
    def change(dataset):
        dataset.ArterialSpinLabelingContrast = coded

    write_series(tmp_path, change=change)
    assert _timing(read_study([tmp_path]).series[0]).kind == kind


def test_a_bolus_without_labelling_duration_is_pulsed_labelling(series):
    assert _timing(series, BolusDuration=0.7).is_pulsed


def test_slice_times_come_from_the_images_where_dcm2niix_has_none(series):
    asked = {"ArterialSpinLabelingType": "PCASL", "LabelingDuration": 1.8, "PostLabelingDelay": 1.5}
    converted = Converted(
        np.zeros((2, 2, 3, 2), np.float32), np.eye(4), description={**asked, "MRAcquisitionType": "2D"}
    )
    told = ImageTimes(slices_s=(43200.2, 43200.1, 43200.0))
    timing = timing_of(series, converted, GRID, PerfusionOptions(), told)
    assert timing.delay_ms.ravel() == pytest.approx([1700, 1600, 1500])
    assert timing.caveats == ()
    (caveat,) = timing_of(series, converted, GRID, PerfusionOptions()).caveats
    assert (caveat.code, "all slices acquired at the time of the first" in caveat.text) == (ASSUMED, True)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_slice_times_lie_along_the_axis_of_the_slices(series, order):
    grid = hd.Volume(np.zeros((3, 3, 3), np.float32), np.eye(4)[:, [*order, 3]], "PATIENT")
    asked = {"SliceTiming": [0.0, 0.1, 0.2], "MRAcquisitionType": "2D", "PostLabelingDelay": 1.5}
    converted = Converted(np.zeros((3, 3, 3, 2), np.float32), np.eye(4), description=asked)
    shape = timing_of(series, converted, grid, PerfusionOptions()).delay_ms.shape
    assert shape.index(3) == order.index(2)


def test_slices_acquired_later_have_a_longer_delay(series):
    asked = {"ArterialSpinLabelingType": "PCASL", "LabelingDuration": 1.8, "PostLabelingDelay": 1.5}
    late = {"SliceTiming": [0.0, 0.1, 0.2], "MRAcquisitionType": "2D"}
    assert _timing(series, **asked, **late).delay_ms.ravel().tolist() == [1500.0, 1600.0, 1700.0]
    downwards = _timing(series, lps_mm=np.diag([1.0, 1.0, -1.0, 1.0]), **asked, **late)
    assert downwards.delay_ms.ravel().tolist() == [1700.0, 1600.0, 1500.0]
    assert _timing(series, **asked, **late | {"MRAcquisitionType": "3D"}).delay_ms.size == 1


XA30 = "siemens-xa30-enhanced/25_asl_2d_tra"
PHILIPS = "philips-ingenia-3t/pcasl-source"


def test_timing_comes_from_the_header(data):
    (series,) = read_study([data / XA30]).series
    converted = convert(series)
    m0 = read_labelling(series, converted, None).m0
    timing = timing_of(series, converted, m0, PerfusionOptions())
    assert (timing.kind, timing.duration_ms, timing.caveats) == ("PCASL", 1800, ())
    delays = timing.delay_ms.ravel()
    assert delays.size == 12
    assert delays.min() == 1800
    assert np.ptp(delays) == pytest.approx(422.5)
    assert (np.diff(delays) * m0.affine[2, 0] > 0).all()  # the lowest slice is acquired first


@pytest.mark.slow
def test_timing_missing_from_the_header_comes_from_the_settings_with_a_caveat(data):
    (series,) = read_study([data / PHILIPS]).series
    converted = convert(series)
    options = PerfusionOptions(post_label_delay_ms=1500)
    timing = timing_of(series, converted, read_labelling(series, converted, None).m0, options)
    assert timing.delay_ms.ravel().tolist() == [1500]
    assert [c.code for c in timing.caveats] == [ASSUMED]
    assert "1500 ms" in timing.caveats[0].text


def test_slice_times_follow_the_order_of_the_slices(data):
    (series,) = read_study([data / XA30]).series
    converted = convert(series)
    flipped = dataclasses.replace(converted, lps_mm=converted.lps_mm @ np.diag([1, 1, -1, 1]))
    grid = read_labelling(series, None, None).m0
    plain, turned = (timing_of(series, c, grid, PerfusionOptions()).delay_ms.ravel() for c in (converted, flipped))
    assert plain.tolist() == turned[::-1].tolist()
    assert isinstance(converted, Converted)
