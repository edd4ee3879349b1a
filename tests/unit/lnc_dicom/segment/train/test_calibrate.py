import math

import numpy as np
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.train.calibrate import Trial, dice_with_interval, fit_calibration

NAMES = list(dict.fromkeys(s.name for s in STRUCTURES))


def _trials(error_per_spread, heads=4, images=200, seed=0):
    """Volumes whose logarithm errs by a normal number times the spread."""
    rng = np.random.default_rng(seed)
    return [
        Trial(f"h{i % heads}", name, 0.9, 5.0 * math.exp(error_per_spread * spread * rng.normal()), 5.0, spread)
        for i in range(images)
        for name in NAMES
        for spread in [rng.uniform(0.05, 0.3)]
    ]


POINTS = {s.label: np.array([1.0, 2.0, s.label]) for s in STRUCTURES}


def test_the_intervals_hold_nine_of_ten_volumes():
    calibration = fit_calibration(POINTS, _trials(0.5), np.random.default_rng(1).normal(3, 2, (50, 8)))
    for name in NAMES:
        assert calibration.volume_error[name] == pytest.approx(0.5 * 1.645, rel=0.25)
        assert 0.85 <= calibration.coverage[name] <= 0.95


def test_a_head_unlike_the_others_lowers_the_coverage():
    """The intervals are fitted on the other heads; otherwise they would cover this one as well."""
    trials = _trials(0.1, heads=2)
    wrong = [t if t.head == "h0" else Trial(t.head, t.name, 0.9, 10.0, 5.0, t.spread) for t in trials]
    assert fit_calibration(POINTS, wrong, np.ones((4, 8))).coverage["caudate"] < 0.8


def test_features_like_those_of_the_training_are_near_and_others_far():
    features = np.random.default_rng(1).normal(3, 2, (500, 64))
    calibration = fit_calibration(POINTS, _trials(0.5), features)
    assert calibration.feature_distance(features[0]) == pytest.approx(1, abs=0.4)
    assert calibration.feature_distance(features[0] + 20) > 8


def test_the_interval_of_the_dice_comes_from_the_heads():
    same = [Trial(f"h{i % 4}", "caudate", 0.9, 5, 5, 0.1) for i in range(40)]
    assert dice_with_interval(same, "caudate") == pytest.approx((0.9, 0.9, 0.9))
    differ = [Trial(f"h{i % 4}", "caudate", 0.8 + 0.05 * (i % 4), 5, 5, 0.1) for i in range(40)]
    mean, low, high = dice_with_interval(differ, "caudate")
    assert low < mean < high
    assert high - low > 0.05
