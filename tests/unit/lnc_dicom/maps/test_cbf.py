import dataclasses
import shutil

import highdicom as hd
import numpy as np
import pydicom
import pytest

from lnc_dicom.errors import NoM0, UnpairedVolumes
from lnc_dicom.maps import cbf
from lnc_dicom.maps.asl_timing import ASSUMED, Timing, timing_of
from lnc_dicom.maps.asl_volumes import volumes
from lnc_dicom.maps.cbf import ORDER_ASSUMED, Labelling, alternate, cbf_map, quantify, read_labelling, relative_cbf_map
from lnc_dicom.options import PerfusionOptions
from lnc_dicom.study.dcm2niix import Converted, convert
from lnc_dicom.study.read import read_study
from lnc_dicom.types import Role
from tests import perfusion

XA30 = "siemens-xa30-enhanced/25_asl_2d_tra"
PHILIPS = "philips-ingenia-3t/pcasl-source"


def _labelling(difference, m0, tr_ms=None):
    m0 = hd.Volume(np.full((2, 2, 2), m0, np.float32), np.eye(4), "PATIENT")
    return Labelling(np.full((2, 2, 2), difference, np.float32), m0, tr_ms, 1)


def _timing(kind, duration_ms, delay_ms):
    return Timing(kind, duration_ms, np.full((1, 1, 1), float(delay_ms)))


def test_cbf_of_continuous_labelling_is_the_consensus_formula():
    """Alsop 2015, equation 1, worked out by hand for ΔM / M0 = 1 %, PLD 1.8 s, LD 1.8 s."""
    values = quantify(_labelling(1.0, 100.0), _timing("PCASL", 1800, 1800), PerfusionOptions())
    by_hand = 6000 * 0.9 * 0.01 * np.exp(1.8 / 1.65) / (2 * 0.85 * 1.65 * (1 - np.exp(-1.8 / 1.65)))
    assert values == pytest.approx(by_hand, rel=1e-4)
    assert values.mean() == pytest.approx(86.3, abs=0.2)


def test_cbf_of_pulsed_labelling_is_the_consensus_formula():
    """Alsop 2015, equation 3, for ΔM / M0 = 1 %, TI 1.8 s, TI1 0.8 s."""
    values = quantify(_labelling(1.0, 100.0), _timing("PASL", 800, 1800), PerfusionOptions())
    by_hand = 6000 * 0.9 * 0.01 * np.exp(1.8 / 1.65) / (2 * 0.98 * 0.8)
    assert values == pytest.approx(by_hand, rel=1e-4)


def test_a_short_tr_of_m0_lowers_cbf_and_a_long_one_does_not():
    timing = _timing("PCASL", 1800, 1800)
    long, short = (quantify(_labelling(1.0, 100.0, tr), timing, PerfusionOptions()).mean() for tr in (6000, 2000))
    assert long == quantify(_labelling(1.0, 100.0), timing, PerfusionOptions()).mean()
    assert short / long == pytest.approx(1 - np.exp(-2000 / 1330), rel=1e-5)


@pytest.mark.parametrize(("name", "change"), [("partition_coefficient", 1.8), ("blood_t1_ms", 1400.0)])
def test_every_constant_is_a_setting(name, change):
    timing = _timing("PCASL", 1800, 1800)
    plain = quantify(_labelling(1.0, 100.0), timing, PerfusionOptions())
    assert not np.allclose(quantify(_labelling(1.0, 100.0), timing, PerfusionOptions(**{name: change})), plain)


def test_the_loss_by_background_suppression_is_taken_into_account_where_there_was_any():
    timing = _timing("PCASL", 1800, 1800)
    plain = _labelling(1.0, 100.0)
    suppressed = dataclasses.replace(plain, suppressed=True)
    ratio = quantify(suppressed, timing, PerfusionOptions()).mean() / quantify(plain, timing, PerfusionOptions()).mean()
    assert ratio == pytest.approx(1 / 0.83, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "suppressed"), [(PHILIPS, True), (XA30, False)])
def test_background_suppression_is_recognised_by_comparison_with_m0(data, folder, suppressed):
    (series,) = read_study([data / folder]).series
    assert read_labelling(series, convert(series), None).suppressed is suppressed


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


def test_the_unsuppressed_pair_is_m0_and_is_not_subtracted(data):
    (series,) = read_study([data / PHILIPS]).series
    found = read_labelling(series, None, None)
    assert found.pairs == 2
    assert np.array_equal(found.m0.array, volumes(series)[0].volume.array)


def test_unnamed_control_and_label_give_the_same_difference_with_a_caveat(data, tmp_path):
    """LABEL comes first in this series, so the order alone gives the wrong sign: flow has to be positive."""
    (named,) = read_study([data / XA30]).series
    for instance in named.instances:
        dataset = pydicom.dcmread(instance.path)
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            del frame.MRArterialSpinLabelingSequence
        dataset.save_as(tmp_path / instance.path.name)
    (series,) = read_study([tmp_path]).series
    found, expected = read_labelling(series, None, None), read_labelling(named, None, None)
    assert [c.code for c in found.caveats] == [ORDER_ASSUMED]
    assert np.allclose(found.difference, expected.difference, atol=1e-3)
    assert np.array_equal(found.m0.array, expected.m0.array)


def _without(data, tmp_path, name, drop):
    for instance in read_study([data / name]).series[0].instances:
        if not drop(pydicom.dcmread(instance.path, stop_before_pixels=True)):
            shutil.copy(instance.path, tmp_path)
    return read_study([tmp_path]).series[0]


def _context(dataset):
    return dataset.PerFrameFunctionalGroupsSequence[0].MRArterialSpinLabelingSequence[0].ASLContext


def test_labelling_without_m0_is_refused_by_code(data, tmp_path):
    series = _without(data, tmp_path, XA30, lambda d: _context(d) == "M_ZERO_SCAN")
    with pytest.raises(NoM0):
        read_labelling(series, None, None)


def test_m0_in_a_series_of_its_own_is_used(data, tmp_path):
    (tmp_path / "pairs").mkdir()
    (tmp_path / "m0").mkdir()
    pairs = _without(data, tmp_path / "pairs", XA30, lambda d: _context(d) == "M_ZERO_SCAN")
    m0 = _without(data, tmp_path / "m0", XA30, lambda d: _context(d) != "M_ZERO_SCAN")
    (whole,) = read_study([data / XA30]).series
    assert np.array_equal(read_labelling(pairs, None, m0).m0.array, read_labelling(whole, None, None).m0.array)


def test_volumes_that_do_not_pair_are_refused_by_code(data, tmp_path):
    series = _without(data, tmp_path, XA30, lambda d: d.InstanceNumber == 7)
    with pytest.raises(UnpairedVolumes):
        read_labelling(series, None, None)


def test_the_first_of_an_odd_number_of_volumes_is_m0():
    control, label, m0 = alternate(list("mclcl"))
    assert (control, label, m0) == (["c", "c"], ["l", "l"], ["m"])


@pytest.mark.slow
def test_cbf_outside_the_head_is_nan(data):
    (series,) = read_study([data / PHILIPS]).series
    found = cbf_map({Role.LABELLING: series}, PerfusionOptions())
    assert np.isnan(found.values.array[0, 0]).all()
    assert 0.2 < np.isfinite(found.values.array).mean() < 0.8


@pytest.mark.slow
def test_a_relative_map_is_unchanged_and_registered_by_m0_of_the_labelling(data):
    (relative,) = read_study([data / "siemens-xa30-enhanced" / "28_asl_2d_tra"]).series
    (series,) = read_study([data / XA30]).series
    found = relative_cbf_map({Role.RELATIVE_CBF_MAP: relative, Role.LABELLING: series})
    stored = pydicom.dcmread(relative.instances[0].path)
    expected = stored.pixel_array.astype(float) * 2.00024 - 4096
    assert np.sort(found.values.array.ravel()) == pytest.approx(np.sort(expected.ravel()), abs=0.1)
    assert np.array_equal(found.registration_image.array, read_labelling(series, None, None).m0.array)
    assert not found.registers_itself


def test_without_a_series_there_is_no_map():
    assert cbf_map({}, PerfusionOptions()) is None
    assert relative_cbf_map({}) is None


def test_slice_times_follow_the_order_of_the_slices(data):
    (series,) = read_study([data / XA30]).series
    converted = convert(series)
    flipped = dataclasses.replace(converted, lps_mm=converted.lps_mm @ np.diag([1, 1, -1, 1]))
    grid = read_labelling(series, None, None).m0
    plain, turned = (timing_of(series, c, grid, PerfusionOptions()).delay_ms.ravel() for c in (converted, flipped))
    assert plain.tolist() == turned[::-1].tolist()
    assert isinstance(converted, Converted)


def _bright(*means):
    return [hd.Volume(np.full((2, 2, 2), m, np.float32), np.eye(4), "PATIENT") for m in means]


def test_pairs_that_are_much_brighter_than_the_others_are_m0_and_not_subtracted():
    control, label = _bright(100.0, 1000.0, 105.0), _bright(99.0, 990.0, 104.0)
    m0, rest, labels = cbf._bright_first(control, label)
    assert [float(v.array.mean()) for v in m0] == [1000.0]
    assert [float(v.array.mean()) for v in rest] == [100.0, 105.0]
    assert [float(v.array.mean()) for v in labels] == [99.0, 104.0]
    assert cbf._bright_first(*([_bright(100.0, 105.0)] * 2))[0] == []


PASL = (
    'tSequenceFileName = ""%SiemensSeq%\\ep2d_pasl""\nalTI[0] = 700000\nalTI[2] = 1800000\nsAsl.ulMode = 4\n'
    'tProtocolName = ""pasl""'
)


def _pulsed_difference(delay_s: np.ndarray) -> np.ndarray:
    """Control minus label of QUIPSS II in a head with the known CBF (Alsop 2015, equation 3, solved for ΔM)."""
    return perfusion.head() * perfusion.CBF * 2 * 0.98 * 0.7 * np.exp(-delay_s / 1.65) / (6000 * 0.9)


@pytest.mark.parametrize("label_first", [False, True])
def test_pulsed_mosaics_with_slices_one_after_the_other_give_the_known_cbf(tmp_path, label_first):
    slice_ms = [45.0 * k for k in range(perfusion.SHAPE[0])]
    control = 0.8 * perfusion.head()
    label = control - _pulsed_difference((1800 + np.array(slice_ms))[:, None, None] / 1000)
    pairs = [label, control] * 3 if label_first else [control, label] * 3
    perfusion.write_mosaics(tmp_path, [perfusion.head(), *pairs], protocol=PASL, slice_ms=slice_ms, change=_tr(6000))
    found = cbf_map({Role.LABELLING: perfusion.only_series(tmp_path)}, PerfusionOptions()).values
    values = found.array[np.isfinite(found.array)]
    assert values == pytest.approx(perfusion.CBF, rel=0.02)


def _tr(tr_ms):
    def change(dataset, _):
        dataset.RepetitionTime = tr_ms

    return change
