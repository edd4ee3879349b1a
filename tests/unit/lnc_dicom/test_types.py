import math

import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.types import Check, Confidence, Measurement, Quantity, Segmented, Statistic

PASSED = Check("LNC-501", "contrast", 0.3, 0.2, math.inf)
FAILED = Check("LNC-502", "noise", 2.0, -math.inf, 1.0)


@pytest.mark.parametrize(
    ("value", "passed"), [(0.0, True), (1.0, True), (-0.01, False), (1.01, False), (math.nan, False)]
)
def test_a_check_passes_within_its_limits_and_never_on_nan(value, passed):
    assert Check("LNC-500", "share", value, 0.0, 1.0).passed is passed


def test_a_check_names_the_limit_that_it_breaks():
    assert str(FAILED) == "noise 2 (at most 1)"
    assert str(Check("LNC-501", "contrast", 0.1, 0.2, 5.0)) == "contrast 0.1 (at least 0.2)"


def test_a_measurement_fails_with_its_first_failed_gate():
    other = Check("LNC-503", "size", 9.0, 0.0, 1.0)
    measurement = Measurement(STRUCTURES[0], 10, 0.1, checks=(PASSED, FAILED, other))
    assert measurement.failure is FAILED
    assert not measurement.passed
    assert Measurement(STRUCTURES[0], 10, 0.1, checks=(PASSED,)).passed


def _segmented(dtype=np.uint8):
    labels = hd.Volume(np.zeros((3, 3, 3), dtype), np.eye(4), coordinate_system="PATIENT")
    return Segmented(labels, {1: Confidence(0.9)})


def test_labels_are_unsigned_bytes():
    with pytest.raises(TypeError, match="uint8"):
        _segmented(np.int16)


def test_what_is_frozen_is_frozen_inside_too():
    segmented = _segmented()
    with pytest.raises(ValueError, match="read-only"):
        segmented.labels.array[0, 0, 0] = 1
    with pytest.raises(TypeError):
        segmented.confidence[2] = Confidence(0.5)
    measurement = Measurement(STRUCTURES[0], 1, 0.1, statistics={Quantity.FA: Statistic(0.4, 0.1, 0.4, 9)})
    with pytest.raises(TypeError):
        measurement.statistics[Quantity.CBF] = Statistic(50, 1, 50, 9)
