import math

import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import FieldOfViewTooSmall, NoHead, NotT1Contrast, PoorImage, UnlikeHead, WrongPose
from lnc_dicom.measure import gates
from lnc_dicom.measure.gates import EDGE_VOXELS, FOUND, MIRROR, STUDY_GATES
from lnc_dicom.report import failure_text, refuse
from lnc_dicom.types import Measurement

GOOD = tuple(Measurement(s, 1000, 1.0) for s in STRUCTURES)
GOOD_STUDY = tuple(gate.check(min(max(gate.low, 1.0), gate.high)) for gate in STUDY_GATES)


def _with(check, *labels):
    return tuple(
        Measurement(m.structure, 1000, 1.0, None, (check,)) if m.structure.label in labels else m for m in GOOD
    )


def _study(gate, value):
    return tuple(gate.check(value) if check.code == gate.code else check for check in GOOD_STUDY)


def test_two_failed_nuclei_are_reported_not_refused():
    refuse(GOOD_STUDY, GOOD)
    refuse(GOOD_STUDY, _with(FOUND.check(0), 5, 6))


def test_three_failed_nuclei_mean_that_this_is_no_head():
    with pytest.raises(NoHead, match="3 of 8"):
        refuse(GOOD_STUDY, _with(MIRROR.check(0.1), 1, 5, 6))


def test_failed_nuclei_in_a_brain_that_is_cut_mean_that_the_images_are_too_small():
    with pytest.raises(FieldOfViewTooSmall, match="3 of 8"):
        refuse(GOOD_STUDY, _with(MIRROR.check(0.1), 1, 5, 6), brain_is_cut=True)


def test_one_nucleus_on_the_edge_means_that_the_images_are_cut():
    with pytest.raises(FieldOfViewTooSmall, match="Putamen, left"):
        refuse(GOOD_STUDY, _with(EDGE_VOXELS.check(3), 3))


def test_a_ventricle_on_the_edge_is_only_reported():
    refuse(GOOD_STUDY, _with(EDGE_VOXELS.check(3), 11, 12))


@pytest.mark.parametrize(
    ("gate", "value", "error"),
    [
        (gates.WHITE_TO_GREY, -0.1, NotT1Contrast),
        (gates.CONTRAST_TO_NOISE, 0.1, PoorImage),
        (gates.EDGE_WIDTH, 30.0, PoorImage),
        (gates.FEATURE_DISTANCE, 99.0, UnlikeHead),
        (gates.MISFIT, math.nan, UnlikeHead),
        (gates.TURN, 90.0, WrongPose),
    ],
)
def test_a_study_that_fails_a_gate_is_refused_with_the_code_of_the_gate(gate, value, error):
    with pytest.raises(error, match=gate.code):
        refuse(_study(gate, value), GOOD)


def test_another_contrast_is_said_before_the_nuclei_that_fail_because_of_it():
    with pytest.raises(NotT1Contrast):
        refuse(_study(gates.GREY_TO_FLUID, -0.4), _with(MIRROR.check(0.1), 1, 2, 3, 4, 5, 6))


def test_where_nothing_is_arranged_like_a_head_the_contrast_says_nothing():
    study = tuple(c if c.code != gates.MISFIT.code else gates.MISFIT.check(20) for c in _study(gates.GREY_TO_FLUID, -1))
    with pytest.raises(NoHead):
        refuse(study, _with(FOUND.check(0), 1, 2, 3, 4, 5, 6))


def test_a_failed_structure_is_told_with_its_gate_and_without_its_volume():
    text = failure_text(_with(MIRROR.check(0.41), 3)[2])
    assert text == f"Putamen, left failed: {MIRROR.code} {MIRROR.name} 0.41 (at least {MIRROR.low})"
    assert "mL" not in text
