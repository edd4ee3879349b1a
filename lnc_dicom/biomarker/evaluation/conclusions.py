"""Scores → what they mean, in plain sentences: whether age explains them, and whether the model adds anything."""

from __future__ import annotations

from collections.abc import Sequence

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.design import Design, Kind
from lnc_dicom.biomarker.evaluation.group_tests import GroupRow
from lnc_dicom.biomarker.evaluation.permutation import Permutation
from lnc_dicom.biomarker.evaluation.scoring import Target

SIGNIFICANT = 0.05
UNBELIEVABLE = "The leakage alarm rings: none of the following can be believed until its cause is found."
HEADLINE = {Kind.MAP: "rmse", Kind.STEMS: "rmse", Kind.DISEASE: "macro_auc"}
"""The score of each kind of target that carries the verdict: the one that uses all of a prediction."""
SMALLER_IS_BETTER = {"rmse", "rmse_over_mean", "mae", "brier", "ece"}


def gain(estimate: Estimate, score: str) -> Estimate:
    """Turn a difference so that more than 0 is better."""
    if score not in SMALLER_IS_BETTER:
        return estimate
    return Estimate(-estimate.value, -estimate.high, -estimate.low)


def ages_differ(groups: Sequence[GroupRow]) -> bool:
    """Whether the groups' ages differ by the test in the table."""
    return any(row.name.startswith("age") and row.p < SIGNIFICANT for row in groups)


def age_explains(targets: Sequence[Target], groups: Sequence[GroupRow]) -> tuple[str, ...]:
    """Say of each task whose skill age alone reaches that age explains it; nothing where the groups are of one age."""
    if not ages_differ(groups):
        return ()
    found = []
    for target in targets:
        if target.kind is Kind.MAP:
            continue
        scores = [n for n in (HEADLINE[target.kind], "accuracy") if n in target.differences[Design.MODEL, Design.AGE]]
        over_age = [gain(target.differences[Design.MODEL, Design.AGE][n], n) for n in scores]
        over_mean = gain(target.differences[Design.MODEL, Design.MEAN][scores[0]], scores[0])
        if over_mean.low > 0 and not any(g.low > 0 for g in over_age):
            found.append(_age_sentence(target, scores[0]))
    return tuple(found)


def _age_sentence(target: Target, score: str) -> str:
    model, age = (target.scores[d][score] for d in (Design.MODEL, Design.AGE))
    apart = target.differences[Design.MODEL, Design.AGE][score]
    task = "Task 1 (LSA stems)" if target.kind is Kind.STEMS else "Task 2 (disease)"
    return (
        f"{task}: the apparent skill of the model is explained by age. The groups differ in age, and age and sex alone "
        f"do as well: {label(score)} {age.value:.3g} against {model.value:.3g} (model - age: {apart})."
    )


def verdicts(
    targets: Sequence[Target], permutations: Sequence[Permutation], covariates: Sequence[str]
) -> tuple[str, ...]:
    """Say of every pooled target whether the model beats the mean predictor and the covariates."""
    by_kind = {p.kind: p for p in permutations}
    found = []
    for target in targets:
        if target.region not in {"", "all inputs"}:
            continue
        score = HEADLINE[target.kind]
        parts = [
            f"{verb(gain(target.differences[Design.MODEL, other][score], score))} {name}"
            for other, name in ((Design.MEAN, "the mean predictor"), (Design.AGE, " + ".join(covariates)))
        ]
        p = by_kind.get(target.kind)
        tail = f"; permutation p of {label(next(iter(p.scores)))} {next(iter(p.scores.values())).p:.3g}" if p else ""
        found.append(f"{target.name}: by {label(score)} the model {' and '.join(parts)}{tail}.")
    return tuple(found)


def verb(better: Estimate) -> str:
    """Read an interval of a gain."""
    if better.low > 0:
        return "beats"
    return "is worse than" if better.high < 0 else "cannot be told from"


def label(score: str) -> str:
    """Name of a score as a reader knows it."""
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
