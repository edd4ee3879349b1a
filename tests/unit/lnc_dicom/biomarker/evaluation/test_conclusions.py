import pytest

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.conclusions import age_explains, comparison, gain
from lnc_dicom.biomarker.evaluation.design import Method, TaskKind
from lnc_dicom.biomarker.evaluation.group_tests import GroupComparison
from lnc_dicom.biomarker.evaluation.scoring import TargetScores

OLDER = (GroupComparison("age (years)", (20, 20), (50, 60), (9, 9), "Kruskal-Wallis", 0.001, 0.3),)
SAME_AGE = (GroupComparison("age (years)", (20, 20), (50, 50), (9, 9), "Kruskal-Wallis", 0.6, 0.0),)


def _target(over_age, over_mean=Estimate(0.2, 0.1, 0.3)):  # noqa: B008 - a frozen value
    scores = {d: {"macro_auc": Estimate(0.7), "accuracy": Estimate(0.5)} for d in (Method.MODEL, Method.AGE)}
    differences = {
        (Method.MODEL, Method.AGE): {"macro_auc": over_age, "accuracy": over_age},
        (Method.MODEL, Method.MEAN): {"macro_auc": over_mean, "accuracy": over_mean},
    }
    return TargetScores(TaskKind.DISEASE, "disease", "", 79, scores, differences, {})


def test_age_explains_skill_that_age_alone_reaches_if_the_groups_differ_in_age():
    (text,) = age_explains([_target(Estimate(0.01, -0.05, 0.07))], OLDER)
    assert "the apparent skill of the model is explained by age" in text


@pytest.mark.parametrize(
    ("target", "groups"),
    [
        (_target(Estimate(0.01, -0.05, 0.07)), SAME_AGE),
        (_target(Estimate(0.1, 0.05, 0.15)), OLDER),
        (_target(Estimate(0.01, -0.05, 0.07), Estimate(0.01, -0.1, 0.1)), OLDER),
    ],
    ids=["groups of one age", "the model is better than age", "no skill at all"],
)
def test_age_explains_nothing_else(target, groups):
    assert age_explains([target], groups) == ()


def test_smaller_errors_are_gains():
    assert gain(Estimate(-2, -3, -1), "rmse") == Estimate(2, 1, 3)
    assert gain(Estimate(2, 1, 3), "accuracy") == Estimate(2, 1, 3)


def test_an_interval_around_zero_shows_no_significant_difference():
    assert comparison(Estimate(1, 0.5, 2)) == "beats"
    assert comparison(Estimate(1, -0.5, 2)) == "does not differ significantly from"
    assert comparison(Estimate(-1, -2, -0.5)) == "is worse than"


def test_on_the_confounded_cohort_age_explains_the_skill(confounded):
    assert any(
        "Task 2 (disease): the apparent skill of the model is explained by age" in t
        for t in confounded.explained_by_age
    )


def test_on_the_other_cohorts_age_explains_nothing(effect, null):
    assert effect.explained_by_age == null.explained_by_age == ()


def test_every_target_has_one_finding(effect):
    assert [text.split(":")[0] for text in effect.findings] == ["FA", "CBF", "LSA stems", "disease"]
    assert "beats the mean predictor and beats age + sex" in effect.findings[-1]
