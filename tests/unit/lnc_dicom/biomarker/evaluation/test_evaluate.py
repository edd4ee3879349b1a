import numpy as np

from lnc_dicom.biomarker.evaluation.conclusions import gain
from lnc_dicom.biomarker.evaluation.design import Method


def _target(evaluation, name):
    return next(t for t in evaluation.targets if t.name == name and t.region in {"", "all inputs"})


def test_on_the_effect_cohort_the_model_beats_mean_and_age_beyond_the_interval(effect):
    for name, score in (("FA", "rmse"), ("LSA stems", "rmse"), ("disease", "accuracy"), ("disease", "macro_auc")):
        target = _target(effect, name)
        for other in (Method.MEAN, Method.AGE):
            assert gain(target.differences[Method.MODEL, other][score], score).low > 0, (name, score, other)


def test_on_the_effect_cohort_most_of_the_oracles_gain_is_reached(effect):
    for name, score in (("FA", "r2"), ("disease", "macro_auc")):
        assert 0.6 < _target(effect, name).shares[Method.MODEL][score].value < 1.2, name
    assert _target(effect, "disease").shares[Method.AGE]["macro_auc"].value < 0.3


def test_on_the_null_cohort_both_tasks_stay_at_chance(null):
    for name, scores in (("LSA stems", ("accuracy", "r2")), ("disease", ("accuracy", "macro_auc"))):
        apart = _target(null, name).differences[Method.MODEL, Method.MEAN]
        assert all(not apart[s].low > 0 for s in scores), name


def test_the_intervals_cover_nine_of_ten_values(effect, null):
    for evaluation in (effect, null):
        for name in ("FA", "CBF", "LSA stems"):
            assert 0.8 < _target(evaluation, name).scores[Method.MODEL]["coverage"].value < 0.97, name


def test_leakage_is_the_first_finding(leaking):
    assert "do not trust any of the following numbers" in leaking.findings[0]


def test_all_regions_and_both_tasks_are_reported(effect):
    names = [f"{t.name} {t.region}".rstrip() for t in effect.targets]
    regions = ["caudate", "putamen", "pallidum", "all inputs"]
    assert names == [f"{q} {r}" for q in ("FA", "CBF") for r in regions] + ["LSA stems", "disease"]
    assert all(set(t.scores) == set(Method) for t in effect.targets)
    assert sum(s.patients for s in effect.sites) == 79


def test_more_training_patients_do_not_hurt(effect):
    few, many = effect.learning_curve
    assert few.patients < many.patients
    assert many.scores["FA"][Method.MODEL] > few.scores["FA"][Method.MEAN]
    assert set(many.scores) == {"FA", "CBF", "LSA stems", "disease"}


def test_the_embedding_has_a_point_per_patient(effect):
    assert effect.embedding.shape == (79, 2)
    assert np.allclose(effect.embedding.mean(axis=0), 0)


def test_the_covariates_of_the_cohort_are_named(effect):
    assert effect.covariates == ("age", "sex")
