import shutil

import highdicom as hd
import numpy as np
import pydicom
import pytest

from lnc_dicom.errors import NoM0, UnpairedVolumes, UnsupportedLabelling
from lnc_dicom.maps.asl_volumes import Labelled, volumes
from lnc_dicom.maps.dcm2niix import convert
from lnc_dicom.maps.labelling import ORDER_ASSUMED, Pairs, alternate, bright_first, on_grid, read_labelling
from lnc_dicom.study.read import read_study
from tests import perfusion

XA30 = "siemens-xa30-enhanced/25_asl_2d_tra"
PHILIPS = "philips-ingenia-3t/pcasl-source"


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "suppressed"), [(PHILIPS, True), (XA30, False)])
def test_background_suppression_is_recognised_by_comparison_with_m0(data, folder, suppressed):
    (series,) = read_study([data / folder]).series
    assert read_labelling(series, convert(series), None).suppressed is suppressed


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


def _volumes(*levels, delays_ms=None):
    delays_ms = delays_ms or [None] * len(levels)
    return [
        Labelled(None, (float(i),), hd.Volume(np.full((2, 2, 2), level, np.float32), np.eye(4), "PATIENT"), delay_ms)
        for i, (level, delay_ms) in enumerate(zip(levels, delays_ms, strict=True))
    ]


def _levels(found):
    return [float(v.volume.array.mean()) for v in found]


@pytest.mark.parametrize(
    ("levels", "m0", "control", "label"),
    [
        ((102.0, 100.0, 99.0, 100.0, 99.0), [102.0], [100.0, 100.0], [99.0, 99.0]),  # odd, none brighter
        ((130.0, 100.0, 99.0, 101.0, 98.0), [130.0], [100.0, 101.0], [99.0, 98.0]),
        ((100.0, 99.0, 101.0, 98.0, 130.0), [130.0], [100.0, 101.0], [99.0, 98.0]),  # M0 last
        ((900.0, 100.0, 99.0, 101.0, 98.0, 100.0), [900.0], [100.0, 101.0], [99.0, 98.0]),  # cut short
        ((900.0, 880.0, 100.0, 99.0, 101.0, 98.0), [900.0, 880.0], [100.0, 101.0], [99.0, 98.0]),
        ((100.0, 99.0, 101.0, 98.0), [], [100.0, 101.0], [99.0, 98.0]),
        ((130.0, 100.0, 99.0), [130.0], [100.0], [99.0]),
    ],
)
def test_m0_among_unnamed_volumes_is_the_bright_end_or_the_first_of_an_odd_number(levels, m0, control, label):
    found = alternate(_volumes(*levels))
    assert (_levels(found.m0), _levels(found.control), _levels(found.label)) == (m0, control, label)
    assert [c.code for c in found.caveats] == [ORDER_ASSUMED]


def test_a_volume_without_partner_is_named():
    (caveat,) = alternate(_volumes(900.0, 100.0, 99.0, 101.0)).caveats
    assert "last volume" in caveat.text


def test_unnamed_volumes_of_several_delays_alternate_within_each():
    delays_ms = [None, 500.0, 500.0, 1000.0, 1000.0]
    found = alternate(_volumes(200.0, 100.0, 99.0, 104.0, 102.0, delays_ms=delays_ms))
    assert _levels(found.control) == [100.0, 104.0]
    assert [v.delay_ms for v in found.label] == [500.0, 1000.0]


def test_one_volume_is_no_pair():
    with pytest.raises(UnpairedVolumes, match="1 volumes"):
        alternate(_volumes(100.0))


def test_pairs_that_are_much_brighter_than_the_others_are_m0_and_not_subtracted():
    control, label = _volumes(100.0, 1000.0, 105.0), _volumes(99.0, 990.0, 104.0)
    found = bright_first(Pairs(tuple(control), tuple(label), ()))
    assert [_levels(v) for v in (found.m0, found.control, found.label)] == [[1000.0], [100.0, 105.0], [99.0, 104.0]]
    even = tuple(_volumes(100.0, 105.0))
    assert bright_first(Pairs(even, even, ())).m0 == ()


def _grid(array, lps_mm):
    return hd.Volume(array.astype(np.float32), lps_mm, "PATIENT")


def test_m0_stored_along_other_axes_is_turned():
    array = np.arange(24).reshape(2, 3, 4)
    grid = _grid(np.zeros((2, 3, 4)), np.diag([6.0, 3, 3, 1]))
    turned = _grid(
        array.transpose(2, 1, 0)[::-1], np.array([[0, 0, 6.0, 0], [0, 3, 0, 0], [-3, 0, 0, 9], [0, 0, 0, 1]])
    )
    assert np.array_equal(on_grid(turned, grid).array, array)


def test_m0_at_another_place_with_the_same_voxels_is_interpolated():
    ramp = np.arange(6.0)[:, None, None] * np.ones((6, 4, 4))
    moved = np.diag([3.0, 3, 3, 1])
    moved[0, 3] = 1.5
    found = on_grid(_grid(ramp, moved), _grid(np.zeros((6, 4, 4)), np.diag([3.0, 3, 3, 1])))
    assert found.array[1:5, 1, 1] == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=1e-4)


def test_m0_with_other_voxels_is_refused_with_both_sizes():
    grid = _grid(np.zeros((2, 3, 4)), np.diag([6.0, 3, 3, 1]))
    with pytest.raises(NoM0, match="6x3x3 mm, control and label of 5x3x3"):
        on_grid(grid, _grid(np.zeros((2, 3, 4)), np.diag([5.0, 3, 3, 1])))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("to_ep2d_VEPCASL", "vessel-encoded"),
        ("pcasl vessel selective", "vessel-encoded"),
        ("pCASL_hadamard8", "time-encoded"),
        ("ASL_MultiPhase", "Look-Locker"),
        ("VSASL", "velocity-selective"),
    ],
)
def test_labelling_without_pairs_is_refused_by_name(tmp_path, name, kind):
    change = _named(name)
    perfusion.write_volumes(tmp_path, [perfusion.head()] * 4, series_uid="1.2.3", study_uid="1.2.4", change=change)
    with pytest.raises(UnsupportedLabelling, match=kind):
        read_labelling(perfusion.only_series(tmp_path), None, None)


def _named(name):
    def change(dataset, _):
        dataset.SeriesDescription = dataset.ProtocolName = name

    return change


def test_labelling_is_vessel_encoded_by_its_sequence_whatever_its_name(tmp_path):
    protocol = 'tSequenceFileName = ""%CustomerSeq%\\to_ep2d_VEPCASL""'
    perfusion.write_mosaics(tmp_path, [perfusion.head()] * 4, protocol=protocol)
    with pytest.raises(UnsupportedLabelling, match="vessel-encoded"):
        read_labelling(perfusion.only_series(tmp_path), None, None)


def test_unnamed_volumes_that_differ_more_than_control_and_label_can_are_refused(tmp_path):
    found = [perfusion.head(), perfusion.head(8000), perfusion.head(3000)]
    perfusion.write_volumes(tmp_path, found, series_uid="1.2.3", study_uid="1.2.4")
    with pytest.raises(UnpairedVolumes, match="25% of M0"):
        read_labelling(perfusion.only_series(tmp_path), None, None)
