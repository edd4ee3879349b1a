import numpy as np
import pytest

from lnc_dicom.conformal import conformal_quantile


@pytest.mark.parametrize(("cases", "rank"), [(1, 1), (9, 9), (10, 10), (19, 18), (20, 19), (99, 90), (100, 91)])
def test_the_rank_is_that_of_n_plus_1_cases(cases, rank):
    scores = np.random.default_rng(cases).permutation(np.arange(1, cases + 1))
    assert conformal_quantile(scores, 0.9) == rank


def test_every_column_has_a_quantile_of_its_own():
    scores = np.stack([np.arange(19), 10 * np.arange(19)[::-1]], axis=1)
    assert conformal_quantile(scores, 0.9).tolist() == [17, 170]


def test_few_subjects_with_many_cases_count_as_subjects():
    scores = np.arange(1, 101)  # 10 subjects with 10 cases each: rank 10 of 10, not 91 of 100
    assert conformal_quantile(scores, 0.9, subjects=10) == 100
    assert conformal_quantile(scores, 0.9, subjects=20) == 95


def test_new_cases_are_covered_at_least_as_often_as_promised():
    """Rank 12 of 12 covers 12 of 13; rank 11, without the + 1, would cover only 85 % of new cases."""
    scores = np.random.default_rng(1).exponential(size=(13, 5000))
    assert np.mean(scores[-1] <= conformal_quantile(scores[:-1], 0.9)) > 0.91
