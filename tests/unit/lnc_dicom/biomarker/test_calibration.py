from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from lnc_dicom.biomarker.calibration import (
    Calibration,
    conformal_width,
    count_probabilities,
    fit_stems,
    fit_temperature,
    load_calibrations,
    save_calibrations,
)

EXAMPLE = Calibration(
    (((0.25, 0.03), (50.0, 9.0)), ((0.6, 0.03), (35.0, 6.0))), (1.7, 1.6), (3.3, 1.0), (0.4, 0.9), 0.8, 1.4, 1.3, 80
)


def test_both_calibrations_come_back_as_they_were_written(tmp_path):
    other = replace(EXAMPLE, widths=(1.9, 1.8))
    save_calibrations(tmp_path, EXAMPLE, other)
    assert load_calibrations(tmp_path) == (EXAMPLE, other)


def test_a_prediction_has_the_unit_of_its_map():
    fa = EXAMPLE.predict_map(1, 0, 0.0, 0.0)
    assert (fa.value, fa.low, fa.high) == pytest.approx((0.6, 0.6 - 1.7 * 0.03, 0.6 + 1.7 * 0.03))
    cbf = EXAMPLE.predict_map(0, 1, 1.0, np.log(0.5))
    assert (cbf.value, cbf.low, cbf.high) == pytest.approx((59.0, 59.0 - 0.8 * 9, 59.0 + 0.8 * 9))


def test_no_interval_leaves_what_is_possible():
    assert EXAMPLE.predict_map(1, 0, 20.0, 1.0).high == 1.0
    assert EXAMPLE.predict_map(0, 1, -20.0, 0.0).low == 0.0
    assert EXAMPLE.predict_stems(-50.0)[0].low == 0.0


def test_conformal_intervals_cover_nine_of_ten_new_people():
    chance = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        scores = chance.standard_t(3, size=(81, 1))
        covered.append(abs(scores[80]) <= conformal_width(scores[:80]))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.05)


def test_regions_of_one_person_do_not_count_as_so_many_people():
    scores = np.random.default_rng(4).normal(size=(9, 1)).repeat(6, axis=1)
    assert conformal_width(scores) == pytest.approx(np.abs(scores).max())  # nine of ten need all nine
    scores[3] = np.nan
    assert conformal_width(scores) == pytest.approx(np.nanmax(np.abs(scores)))


def test_temperature_undoes_what_was_overstated():
    chance = np.random.default_rng(2)
    logits = chance.normal(size=(4000, 3)) * 1.5
    labels = np.array([chance.choice(3, p=p) for p in special.softmax(logits, axis=1)])
    assert fit_temperature(3 * logits, labels) == pytest.approx(3, rel=0.1)


def test_counts_have_probabilities_that_add_to_one_and_peak_at_the_nearest_number():
    chances = count_probabilities(3.8, 0.9)
    assert chances.sum() == pytest.approx(1)
    assert chances.argmax() == 4


def test_a_line_that_runs_the_wrong_way_is_no_skill():
    chance = np.random.default_rng(3)
    said = chance.normal(4, 1, 200)
    (offset, slope), sd = fit_stems(said, 8 - said)
    assert slope == 0
    assert offset == pytest.approx((8 - said).mean())
    assert sd == pytest.approx(1, abs=0.15)
