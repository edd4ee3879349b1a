import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.maps.asl_timing import ASSUMED, timing_of
from lnc_dicom.options import PerfusionOptions
from lnc_dicom.study.dcm2niix import Converted
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


def test_a_list_of_equal_delays_is_one_delay_and_different_ones_are_unknown(series):
    asked = {"ArterialSpinLabelingType": "PCASL", "LabelingDuration": 1.8}
    assert _timing(series, **asked, PostLabelingDelay=[1.6, 1.6]).caveats == ()
    several = _timing(series, **asked, PostLabelingDelay=[0.5, 1.0, 1.5])
    assert several.delay_ms.ravel().tolist() == [PerfusionOptions().post_label_delay_ms]
    assert "delay" in several.caveats[0].text


def test_slices_acquired_later_have_a_longer_delay(series):
    asked = {"ArterialSpinLabelingType": "PCASL", "LabelingDuration": 1.8, "PostLabelingDelay": 1.5}
    late = {"SliceTiming": [0.0, 0.1, 0.2], "MRAcquisitionType": "2D"}
    assert _timing(series, **asked, **late).delay_ms.ravel().tolist() == [1500.0, 1600.0, 1700.0]
    downwards = _timing(series, lps_mm=np.diag([1.0, 1.0, -1.0, 1.0]), **asked, **late)
    assert downwards.delay_ms.ravel().tolist() == [1700.0, 1600.0, 1500.0]
    assert _timing(series, **asked, **late | {"MRAcquisitionType": "3D"}).delay_ms.size == 1
