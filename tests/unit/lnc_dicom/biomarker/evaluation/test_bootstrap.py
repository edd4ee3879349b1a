import math

import numpy as np
import pytest
from scipy import stats

from lnc_dicom.biomarker.evaluation.bootstrap import Bootstrap, Estimate, clopper_pearson, difference, share_of_gain
from lnc_dicom.biomarker.evaluation.metrics import sums


def _mean(values):
    parts = np.stack([np.ones_like(values), values], axis=-1)[None]
    return sums(parts, lambda t: t[..., 1] / t[..., 0])


@pytest.mark.parametrize(("right", "trials", "low"), [(79, 79, 0.954), (16, 16, 0.794), (8, 8, 0.631)])
def test_the_interval_of_a_perfect_accuracy_is_not_empty(right, trials, low):
    found = clopper_pearson(right / trials, trials)
    assert round(found.low, 3) == low
    assert found.high == 1


def test_clopper_pearson_intervals_are_those_of_scipy():
    exact = stats.binomtest(30, 79).proportion_ci(method="exact")
    found = clopper_pearson(30 / 79, 79)
    assert np.allclose((found.low, found.high), (exact.low, exact.high))
    assert clopper_pearson(0, 10).low == 0


def test_the_bootstrap_of_a_mean_agrees_with_its_t_interval(rng):
    values = rng.normal(5, 2, 200)
    found = Bootstrap(200, 2000, 1).estimate(_mean(values))
    low, high = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert np.isclose(found.value, values.mean())
    assert np.allclose((found.low, found.high), (low, high), atol=0.06)


def test_some_patients_are_resampled_on_their_own(rng):
    values = np.concatenate([np.zeros(50), np.ones(50) + rng.normal(0, 0.01, 50)])
    found = Bootstrap(100, 200, 1).estimate(_mean(values), np.arange(50, 100))
    assert np.isclose(found.value, 1, atol=0.01)
    assert found.high - found.low < 0.02


def test_a_statistic_without_spread_has_an_interval_without_width():
    found = Bootstrap(20, 100, 1).estimate(_mean(np.ones(20)))
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_differences_are_resampled_together(rng):
    values = rng.normal(0, 10, 80)
    found = Bootstrap(80, 300, 1).estimate(difference(_mean(values + 1), _mean(values)))
    assert np.allclose((found.value, found.low, found.high), 1)


def test_the_share_of_a_gain_is_1_at_the_best_and_0_at_the_baseline():
    worst, middle, best = (_mean(np.full(10, v)) for v in (4.0, 2.0, 0.0))
    everyone = np.ones((1, 10))
    assert share_of_gain(best, worst, best)(everyone)[0] == 1
    assert share_of_gain(worst, worst, best)(everyone)[0] == 0
    assert share_of_gain(middle, worst, best)(everyone)[0] == 0.5
    assert math.isnan(share_of_gain(middle, best, best)(everyone)[0])


def test_an_estimate_is_written_as_value_and_interval():
    assert str(Estimate(0.12345, 0.1, 2e-16)) == "0.123 [0.1, 0]"
    assert str(Estimate(0.5)) == "0.5"
    assert str(Estimate(math.nan)) == "-"
