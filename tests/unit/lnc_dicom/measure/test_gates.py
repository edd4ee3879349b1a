import dataclasses
import math

import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.measure import gates
from lnc_dicom.measure.gates import GATES, STUDY_GATES, check_structures, check_study
from lnc_dicom.types import Confidence, Pose, Segmented
from tests.factories import POSE, BoxSegmenter, boxes, head


@pytest.fixture(scope="module")
def volume():
    array, lps_mm = head((96, 96, 110), (1.6, 1.6, 1.6))
    grain = np.random.default_rng(1).normal(0, 0.03, array.shape)
    return hd.Volume((array + grain).astype(np.float32), lps_mm, coordinate_system="PATIENT")


@pytest.fixture(scope="module")
def segmented(volume):
    return BoxSegmenter()(volume)


def _study(volume, segmented):
    return {check.code: check for check in check_study(volume, segmented)}


def _structure(segmented, label=1):
    return {check.code: check for check in check_structures(segmented)[label]}


def _with_sign(segmented, label=1, **changes):
    signs = segmented.confidence | {label: dataclasses.replace(segmented.confidence[label], **changes)}
    return dataclasses.replace(segmented, confidence=signs)


def test_every_gate_has_its_own_code_and_a_sharp_head_passes_all(volume, segmented):
    assert len({gate.code for gate in GATES}) == len(GATES)
    assert [check.code for check in check_study(volume, segmented)] == [gate.code for gate in STUDY_GATES]
    assert all(check.passed for check in check_study(volume, segmented))
    assert all(check.passed for checks in check_structures(segmented).values() for check in checks)


def test_an_inverted_contrast_is_not_t1(volume, segmented):
    checks = _study(volume.with_array(1.1 - volume.array), segmented)
    assert not checks[gates.WHITE_TO_GREY.code].passed
    assert not checks[gates.GREY_TO_FLUID.code].passed


def test_white_matter_darker_than_grey_with_dark_fluid_is_not_t1(volume, segmented):
    array = volume.array.copy()
    for s, inside in boxes(array.shape, volume.affine):
        array[inside] = {"internal capsule": 0.6, "lateral ventricle": 0.1}.get(s.name, 0.8)
    checks = _study(volume.with_array(array), segmented)
    assert not checks[gates.WHITE_TO_GREY.code].passed
    assert checks[gates.GREY_TO_FLUID.code].passed


def test_noise_is_measured_in_the_units_of_the_contrast(volume, segmented):
    check = _study(volume, segmented)[gates.CONTRAST_TO_NOISE.code]
    assert check.value == pytest.approx(0.3 / 0.03, rel=0.1)
    noisy = volume.array + np.random.default_rng(2).normal(0, 0.5, volume.shape).astype(np.float32)
    assert not _study(volume.with_array(noisy), segmented)[gates.CONTRAST_TO_NOISE.code].passed


def test_blurring_widens_the_edges(volume, segmented):
    from scipy import ndimage

    sharp = _study(volume, segmented)[gates.EDGE_WIDTH.code].value
    blurred = volume.with_array(ndimage.gaussian_filter(volume.array, 3).astype(np.float32))
    assert sharp < 5
    assert _study(blurred, segmented)[gates.EDGE_WIDTH.code].value > 1.5 * sharp


@pytest.mark.parametrize(
    ("pose", "gate"),
    [
        (Pose(60.0, 1.0, 1.0), gates.TURN),
        (Pose(1.0, 0.5, 1.0), gates.SCALE),
        (Pose(1.0, 1.0, 12.0), gates.MISFIT),
        (None, gates.TURN),
    ],
)
def test_a_head_of_unusual_pose_or_shape_fails(volume, segmented, pose, gate):
    assert _study(volume, dataclasses.replace(segmented, pose=POSE))[gate.code].passed
    assert not _study(volume, dataclasses.replace(segmented, pose=pose))[gate.code].passed


def test_features_far_from_the_training_fail(volume, segmented):
    far = dataclasses.replace(segmented, feature_distance=40.0)
    assert not _study(volume, far)[gates.FEATURE_DISTANCE.code].passed


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"probability": 0.5}, gates.PROBABILITY),
        ({"entropy": 1.6}, gates.ENTROPY),
        ({"mirror_dice": 0.4}, gates.MIRROR),
        ({"largest_component": 0.6}, gates.LARGEST_COMPONENT),
    ],
)
def test_a_structure_of_low_confidence_fails(segmented, changes, gate):
    assert not _structure(_with_sign(segmented, **changes))[gate.code].passed


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_a_structure_on_the_edge_of_the_images_is_cut(segmented, axis, end):
    array = segmented.labels.array.copy()
    array.swapaxes(0, axis)[end, 20, 20] = 7
    cut = dataclasses.replace(segmented, labels=segmented.labels.with_array(array))
    assert not _structure(cut, 7)[gates.EDGE_VOXELS.code].passed


def test_sides_that_differ_fail_and_a_missing_side_fails_alone(segmented):
    array = segmented.labels.array.copy()
    half = np.argwhere(array == 3)[: (array == 3).sum() // 2]
    array[tuple(half.T)] = 0
    differ = dataclasses.replace(segmented, labels=segmented.labels.with_array(array))
    assert not _structure(differ, 3)[gates.ASYMMETRY.code].passed
    assert not _structure(differ, 4)[gates.ASYMMETRY.code].passed
    array = np.where(array == 3, 0, array).astype(np.uint8)
    missing = dataclasses.replace(segmented, labels=segmented.labels.with_array(array))
    assert not _structure(missing, 3)[gates.FOUND.code].passed
    assert all(check.passed for check in check_structures(missing)[4])


def test_a_volume_far_from_the_population_fails():
    array = np.zeros((60, 60, 60), np.uint8)
    array[10:31, 10:31, 10:31] = 5
    labels = hd.Volume(array, np.eye(4), coordinate_system="PATIENT")
    checks = _structure(Segmented(labels, {s.label: Confidence(0.9) for s in STRUCTURES}), 5)
    assert checks[gates.Z_SCORE.code].value == pytest.approx((9.261 - 1.996) / 0.287)
    assert not checks[gates.Z_SCORE.code].passed


def test_without_labels_no_gate_that_needs_tissue_is_passed(volume):
    nothing = Segmented(volume.with_array(np.zeros(volume.shape, np.uint8)), {})
    checks = _study(volume, nothing)
    assert math.isnan(checks[gates.CONTRAST_TO_NOISE.code].value)
    assert not checks[gates.CONTRAST_TO_NOISE.code].passed


def test_a_check_names_the_number_and_the_limit_that_it_breaks():
    assert str(gates.MIRROR.check(0.4)) == "agreement with the mirrored inference 0.4 (at least 0.7)"
    assert str(gates.TURN.check(60)) == "rotation of the head in degrees 60 (at most 45)"
