import numpy as np

from lnc_dicom.biomarker.evaluation.permutation import compare_with_shuffled


def test_p_counts_the_observed_score_among_the_shuffled():
    values = np.arange(19.0)
    assert compare_with_shuffled(100, values, 0).p == 1 / 20
    assert compare_with_shuffled(18, values, 0).p == 2 / 20
    assert compare_with_shuffled(-1, values, 0).p == 1


def test_shuffled_scores_are_above_chance_only_beyond_their_interval(rng):
    around = rng.normal(0.33, 0.05, 50)
    assert not compare_with_shuffled(0.4, around, 0.33).above_chance
    assert compare_with_shuffled(0.4, around + 0.1, 0.33).above_chance


def test_without_permutations_there_is_no_p_and_no_alarm():
    found = compare_with_shuffled(0.4, np.zeros(0), 0.33)
    assert np.isnan(found.p)
    assert not found.above_chance


def test_p_is_as_small_as_possible_with_signal_and_larger_without(effect, null):
    for name in ("quadratic_kappa", "r2"):
        assert effect.permutations[0].scores[name].p == 1 / 13
    assert effect.permutations[1].scores["balanced_accuracy"].p == 1 / 13
    assert all(s.p > 1 / 13 for p in null.permutations for s in p.scores.values())


def test_shuffled_labels_are_at_chance_without_leakage(effect, null):
    for evaluation in (effect, null):
        for permutation in evaluation.permutations:
            for name, score in permutation.scores.items():
                assert not score.above_chance, name
                assert score.mean > score.chance - 0.12, name


def test_shuffled_labels_are_predicted_where_sides_are_in_different_folds(leaking):
    assert leaking.permutations[1].scores["balanced_accuracy"].above_chance
