from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from lnc_dicom.biomarker.calibration import (
    BiomarkerCalibration,
    count_probabilities,
    fit_temperature,
    load_calibrations,
    save_calibrations,
)

EXAMPLE = BiomarkerCalibration(
    (((0.25, 0.03), (50.0, 9.0)), ((0.6, 0.03), (35.0, 6.0))), (1.7, 1.6), (3.3, 1.0), (0.4, 0.9), 0.8, 1.4, 1.3, 80
)


def test_both_calibrations_are_read_back_unchanged(tmp_path):
    other = replace(EXAMPLE, widths=(1.9, 1.8))
    save_calibrations(tmp_path, EXAMPLE, other)
    assert load_calibrations(tmp_path) == (EXAMPLE, other)


def test_a_prediction_has_the_unit_of_its_map():
    fa = EXAMPLE.predict_map(1, 0, 0.0, 0.0)
    assert (fa.value, fa.low, fa.high) == pytest.approx((0.6, 0.6 - 1.7 * 0.03, 0.6 + 1.7 * 0.03))
    cbf = EXAMPLE.predict_map(0, 1, 1.0, np.log(0.5))
    assert (cbf.value, cbf.low, cbf.high) == pytest.approx((59.0, 59.0 - 0.8 * 9, 59.0 + 0.8 * 9))


def test_intervals_stay_within_possible_values():
    assert EXAMPLE.predict_map(1, 0, 20.0, 1.0).high == 1.0
    assert EXAMPLE.predict_map(0, 1, -20.0, 0.0).low == 0.0
    assert EXAMPLE.predict_stems(-50.0)[0].low == 0.0


def test_the_temperature_corrects_overconfidence():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(4000, 3)) * 1.5
    labels = np.array([rng.choice(3, p=p) for p in special.softmax(logits, axis=1)])
    assert fit_temperature(3 * logits, labels) == pytest.approx(3, rel=0.1)


def test_count_probabilities_sum_to_one_and_peak_at_the_nearest_number():
    chances = count_probabilities(3.8, 0.9, range(13))
    assert chances.sum() == pytest.approx(1)
    assert chances.argmax() == 4
