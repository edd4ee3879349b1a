import dataclasses

import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.errors import Implausible, NotAligned, OffTheHead
from lnc_dicom.maps.alignment import align, covered, refuse_map, structure_points
from lnc_dicom.maps.fa import B0_MAX
from lnc_dicom.measure.gates import GREY_CBF, INFORMATION, SHIFT, TURN_OF_MAP
from lnc_dicom.quantities import Quantity
from lnc_dicom.study.dcm2niix import convert
from lnc_dicom.study.load import load
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import select
from lnc_dicom.types import QuantityMap


@pytest.fixture(scope="module")
def head(data, segmenter):
    """T1 and labels of one person, and the first b = 0 volume as a map and its registration_image."""
    study = read_study([data / "siemens-xa30-enhanced"])
    volume, _ = load(select(study).chosen)
    (series,) = read_study([data / "siemens-xa30-enhanced" / "10_DWI_dir80_PA"]).series
    converted = convert(series)
    b0 = converted.volume(converted.array[..., converted.b_values <= B0_MAX].mean(axis=3))
    return volume, segmenter(volume), QuantityMap(Quantity.FA, b0, b0, "b = 0", ())


@pytest.fixture(scope="module")
def right(head):
    volume, segmented, found = head
    return align(found, volume, segmented)


def _moved(found, lps_mm):
    volume = hd.Volume(found.values.array, lps_mm @ found.values.affine, "PATIENT")
    return dataclasses.replace(found, values=volume, registration_image=volume)


def _turn(degrees, centre_mm):
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = centre_mm - matrix[:3, :3] @ centre_mm
    return matrix


@pytest.mark.slow
def test_a_known_error_of_the_header_is_corrected_by_the_registration(head, right):
    volume, segmented, found = head
    points = structure_points(segmented)
    wrong = _turn(3, points.mean(axis=0))
    wrong[:3, 3] += [2, -3, 1]
    again = align(_moved(found, wrong), volume, segmented)
    expected = wrong @ right.to_map_mm
    difference = points @ (again.to_map_mm - expected)[:3, :3].T + (again.to_map_mm - expected)[:3, 3]
    assert np.linalg.norm(difference, axis=1).mean() < 1.0


def test_the_same_images_are_registered_in_the_same_way(head, right):
    volume, segmented, found = head
    assert np.array_equal(align(found, volume, segmented).to_map_mm, right.to_map_mm)


@pytest.mark.parametrize("shift_mm", [[40, 0, 0], [0, 0, 40]])
def test_a_map_40_mm_away_is_refused(head, shift_mm):
    volume, segmented, found = head
    lps_mm = np.eye(4)
    lps_mm[:3, 3] = shift_mm
    with pytest.raises(NotAligned):
        align(_moved(found, lps_mm), volume, segmented)


def test_a_map_turned_by_90_degrees_is_refused(head):
    volume, segmented, found = head
    with pytest.raises(NotAligned):
        align(_moved(found, _turn(90, structure_points(segmented).mean(axis=0))), volume, segmented)


@pytest.mark.slow
@pytest.mark.parametrize("axis", [1, 2])
def test_a_map_that_is_upside_down_or_back_to_front_is_refused(head, axis):
    volume, segmented, found = head
    flip = np.eye(4)
    flip[axis, axis] = -1
    flip[axis, 3] = 2 * structure_points(segmented).mean(axis=0)[axis]
    with pytest.raises(NotAligned):
        align(_moved(found, flip), volume, segmented)


def test_noise_is_refused(head):
    volume, segmented, found = head
    noise = np.random.default_rng(1).random(found.values.shape).astype(np.float32)
    noisy = found.values.with_array(noise)
    with pytest.raises(NotAligned):
        align(dataclasses.replace(found, values=noisy, registration_image=noisy), volume, segmented)


def test_a_map_that_does_not_reach_the_structures_is_refused(head):
    volume, segmented, found = head
    lps_mm = np.eye(4)
    lps_mm[2, 3] = 300
    with pytest.raises(OffTheHead):
        align(_moved(found, lps_mm), volume, segmented)


def test_covered_counts_only_places_with_a_value(head):
    _, segmented, found = head
    points = structure_points(segmented)
    assert covered(found, points, np.eye(4)) == 1
    empty = dataclasses.replace(found, values=found.values.with_array(np.full(found.values.shape, np.nan, np.float32)))
    assert covered(empty, points, np.eye(4)) == 0


def test_a_map_is_refused_by_the_first_gate_that_it_breaks_and_only_by_one_that_it_breaks():
    refuse_map(())
    refuse_map((INFORMATION.check(1.0), SHIFT.check(2.0)))
    with pytest.raises(NotAligned, match="LNC-522"):
        refuse_map((SHIFT.check(99.0), TURN_OF_MAP.check(45.0), INFORMATION.check(1.0)))
    with pytest.raises(Implausible, match="LNC-527"):
        refuse_map((GREY_CBF.check(900.0),))
