"""Scores → findings in plain sentences: does age explain them, and does the model beat the baselines."""

from __future__ import annotations

from collections.abc import Sequence

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.design import Method, TaskKind
from lnc_dicom.biomarker.evaluation.group_tests import GroupComparison
from lnc_dicom.biomarker.evaluation.permutation import PermutationTest
from lnc_dicom.biomarker.evaluation.scoring import TargetScores

SIGNIFICANT = 0.05
UNBELIEVABLE = "Leakage alarm: do not trust any of the following numbers until the cause is found."
HEADLINE = {TaskKind.MAP: "rmse", TaskKind.STEMS: "rmse", TaskKind.DISEASE: "macro_auc"}
"""The score of each kind of task on which the findings rest: one that uses the whole prediction."""
SMALLER_IS_BETTER = {"rmse", "rmse_over_mean", "mae", "brier", "ece"}


def gain(estimate: Estimate, score: str) -> Estimate:
    """Orient a difference so that positive is better."""
    if score not in SMALLER_IS_BETTER:
        return estimate
    return Estimate(-estimate.value, -estimate.high, -estimate.low)


def ages_differ(groups: Sequence[GroupComparison]) -> bool:
    """Whether the ages of the groups differ significantly."""
    return any(row.name.startswith("age") and row.p < SIGNIFICANT for row in groups)


def age_explains(targets: Sequence[TargetScores], groups: Sequence[GroupComparison]) -> tuple[str, ...]:
    """One sentence per task whose skill age alone explains; none if the groups do not differ in age."""
    if not ages_differ(groups):
        return ()
    found = []
    for target in targets:
        if target.kind is TaskKind.MAP:
            continue
        scores = [n for n in (HEADLINE[target.kind], "accuracy") if n in target.differences[Method.MODEL, Method.AGE]]
        over_age = [gain(target.differences[Method.MODEL, Method.AGE][n], n) for n in scores]
        over_mean = gain(target.differences[Method.MODEL, Method.MEAN][scores[0]], scores[0])
        if over_mean.low > 0 and not any(g.low > 0 for g in over_age):
            found.append(_age_sentence(target, scores[0]))
    return tuple(found)


def _age_sentence(target: TargetScores, score: str) -> str:
    model, age = (target.scores[d][score] for d in (Method.MODEL, Method.AGE))
    difference = target.differences[Method.MODEL, Method.AGE][score]
    task = "Task 1 (LSA stems)" if target.kind is TaskKind.STEMS else "Task 2 (disease)"
    return (
        f"{task}: the apparent skill of the model is explained by age. The groups differ in age, and age and sex alone "
        f"do as well: {label(score)} {age.value:.3g} against {model.value:.3g} (model - age: {difference})."
    )


def findings_of(
    targets: Sequence[TargetScores], permutations: Sequence[PermutationTest], covariates: Sequence[str]
) -> tuple[str, ...]:
    """One sentence per pooled target: does the model beat the mean predictor and the covariates."""
    by_kind = {p.kind: p for p in permutations}
    found = []
    for target in targets:
        if target.region not in {"", "all inputs"}:
            continue
        score = HEADLINE[target.kind]
        parts = [
            f"{comparison(gain(target.differences[Method.MODEL, other][score], score))} {name}"
            for other, name in ((Method.MEAN, "the mean predictor"), (Method.AGE, " + ".join(covariates)))
        ]
        p = by_kind.get(target.kind)
        tail = f"; permutation p of {label(next(iter(p.scores)))} {next(iter(p.scores.values())).p:.3g}" if p else ""
        found.append(f"{target.name}: by {label(score)}, the model {' and '.join(parts)}{tail}.")
    return tuple(found)


def comparison(better: Estimate) -> str:
    """Say what the interval of a gain shows."""
    if better.low > 0:
        return "beats"
    return "is worse than" if better.high < 0 else "does not differ significantly from"


def label(score: str) -> str:
    """Name of a score in the report."""
    names = {
        "rmse": "RMSE",
        "rmse_over_mean": "RMSE/mean",
        "r2": "R²",
        "mae": "MAE",
        "coverage": "coverage of the 90 % intervals",
        "within_1": "within ±1",
        "macro_auc": "macro AUC",
        "brier": "Brier score",
        "ece": "ECE",
    }
    return names.get(score, score.replace("_", " "))
