"""Outcomes → scores with intervals per target and design, differences, and shares of the oracle's gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lnc_dicom.biomarker.cohort import MAPS
from lnc_dicom.biomarker.evaluation.bootstrap import Bootstrap, Estimate, clopper_pearson, difference, share_of_gain
from lnc_dicom.biomarker.evaluation.cross_validation import Outcome
from lnc_dicom.biomarker.evaluation.design import Design, Kind
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints
from lnc_dicom.biomarker.evaluation.metrics import (
    Statistic,
    both_sides_right,
    calibration_rows,
    confusion_parts,
    confusion_statistics,
    error_parts,
    probability_statistics,
    regression_statistics,
)

DIFFERENCES = (
    (Design.MODEL, Design.MEAN),
    (Design.MODEL, Design.AGE),
    (Design.MODEL, Design.VOLUMES),
    (Design.MODEL_AGE, Design.MEAN),
    (Design.MODEL_AGE, Design.AGE),
)
SHARES = (Design.AGE, Design.VOLUMES, Design.MODEL, Design.MODEL_AGE)
COMPARED = {
    Kind.MAP: ("rmse", "rmse_over_mean", "r2"),
    Kind.STEMS: ("rmse", "r2", "accuracy", "quadratic_kappa"),
    Kind.DISEASE: ("accuracy", "balanced_accuracy", "macro_auc", "brier"),
}
"""Scores whose differences and shares are reported."""
UNITS = {"FA": "", "CBF": "ml/100 g/min", "LSA stems": "stems", "disease": ""}


@dataclass(frozen=True, slots=True)
class Target:
    """What was predicted and how well.

    name
        "FA", "CBF", "LSA stems" or "disease". region: the region, "all inputs" where they are pooled, or empty.
    rows
        How many values were predicted.
    scores
        By design and name of the score.
    differences
        First design minus second, by (first, second) and score. shares: of the oracle's gain over the mean predictor.
    """

    kind: Kind
    name: str
    region: str
    rows: int
    scores: Mapping[Design, Mapping[str, Estimate]]
    differences: Mapping[tuple[Design, Design], Mapping[str, Estimate]]
    shares: Mapping[Design, Mapping[str, Estimate]]


@dataclass(frozen=True, slots=True)
class SiteRow:
    """Scores of the model at one scanner, by the name of the target."""

    site: str
    patients: int
    scores: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Statistics of one target, before they are resampled."""

    kind: Kind
    name: str
    region: str
    rows: int
    statistics: Mapping[Design, Mapping[str, Statistic]]


def statistics_of(outcomes: Sequence[Outcome], regions: Sequence[str], patients: int) -> tuple[Scored, ...]:
    """Statistics of every region's FA and CBF, of all regions pooled, of the stems and of the disease."""
    scored = []
    for q, quantity in enumerate(MAPS):
        maps = [o for o in outcomes if o.task.kind is Kind.MAP and o.task.quantity == q]
        name = quantity.value.upper()
        scored += [_pooled([o], name, regions[o.task.region], patients) for o in maps]
        if maps:
            scored.append(_pooled(maps, name, "all inputs", patients))
    for outcome in outcomes:
        if outcome.task.kind is Kind.STEMS:
            scored.append(Scored(Kind.STEMS, "LSA stems", "", len(outcome.rows.y), _of_stems(outcome, patients)))
        elif outcome.task.kind is Kind.DISEASE:
            scored.append(Scored(Kind.DISEASE, "disease", "", len(outcome.rows.y), _of_disease(outcome, patients)))
    return tuple(scored)


def _pooled(outcomes: Sequence[Outcome], name: str, region: str, patients: int) -> Scored:
    statistics = {}
    for design in outcomes[0].predicted:
        parts = [error_parts(o, o.predicted[design], patients) for o in outcomes]
        oracle = design is Design.ORACLE
        statistics[design] = regression_statistics(np.concatenate(parts, axis=-1), intervals=not oracle)
    return Scored(Kind.MAP, name, region, sum(len(o.rows.y) for o in outcomes), statistics)


def _of_stems(outcome: Outcome, patients: int) -> dict[Design, dict[str, Statistic]]:
    statistics = {}
    for design, predicted in outcome.predicted.items():
        errors = error_parts(outcome, predicted, patients)
        of = regression_statistics(errors, intervals=design is not Design.ORACLE)
        of |= confusion_statistics(confusion_parts(outcome, predicted, patients), Kind.STEMS)
        of["both_sides_right"] = both_sides_right(outcome, predicted, patients)
        if design is not Design.ORACLE:
            calibrated = probability_statistics(outcome, predicted, patients)
            of |= {"brier": calibrated["brier"], "ece": calibrated["ece"]}
        statistics[design] = of
    return statistics


def _of_disease(outcome: Outcome, patients: int) -> dict[Design, dict[str, Statistic]]:
    return {
        design: confusion_statistics(confusion_parts(outcome, predicted, patients), Kind.DISEASE)
        | probability_statistics(outcome, predicted, patients)
        for design, predicted in outcome.predicted.items()
    }


def score(scored: Scored, bootstrap: Bootstrap) -> Target:
    """Estimate every statistic of a target, with its interval.

    Proportions get Clopper-Pearson intervals with one trial per patient: for the stems both sides of a patient count
    as one, as if they always agreed, which makes the interval too wide rather than too narrow.
    """
    of = scored.statistics
    scores = {
        design: {name: _estimate(name, statistic, scored.kind, bootstrap) for name, statistic in statistics.items()}
        for design, statistics in of.items()
    }
    compared = COMPARED[scored.kind]
    differences = {
        (a, b): {n: bootstrap.estimate(difference(of[a][n], of[b][n])) for n in compared}
        for a, b in DIFFERENCES
        if a in of and b in of
    }
    shares = {
        d: {n: bootstrap.estimate(share_of_gain(of[d][n], of[Design.MEAN][n], of[Design.ORACLE][n])) for n in compared}
        for d in SHARES
        if Design.ORACLE in of
    }
    return Target(scored.kind, scored.name, scored.region, scored.rows, scores, differences, shares)


def _estimate(name: str, statistic: Statistic, kind: Kind, bootstrap: Bootstrap) -> Estimate:
    if name in {"accuracy", "within_1", "both_sides_right"} and kind is not Kind.MAP:
        value = float(statistic(np.ones((1, bootstrap.patients)))[0])
        return clopper_pearson(value, bootstrap.patients)
    return bootstrap.estimate(statistic)


SITE_SCORES = {Kind.MAP: "rmse_over_mean", Kind.STEMS: "accuracy", Kind.DISEASE: "accuracy"}


def site_rows(scored: Sequence[Scored], sites: Sequence[str], bootstrap: Bootstrap) -> tuple[SiteRow, ...]:
    """Score the model for the patients of each scanner on their own."""
    rows = []
    for site in sorted(set(sites)):
        among = np.array([i for i, s in enumerate(sites) if s == site], np.int64)
        wanted = [s for s in scored if s.region in {"", "all inputs"}]
        estimates = {f"{s.name}: {SITE_SCORES[s.kind]}": _at_site(s, among, bootstrap) for s in wanted}
        rows.append(SiteRow(site or "not named", len(among), estimates))
    return tuple(rows)


def _at_site(scored: Scored, among: Ints, bootstrap: Bootstrap) -> Estimate:
    statistic = scored.statistics[Design.MODEL][SITE_SCORES[scored.kind]]
    if scored.kind is Kind.MAP:
        return bootstrap.estimate(statistic, among)
    weights = np.zeros((1, bootstrap.patients))
    weights[0, among] = 1.0
    return clopper_pearson(float(statistic(weights)[0]), len(among))


def confusion(outcome: Outcome, design: Design) -> Array:
    """How many rows of each class (line) got each answer (column), mean over the repeats."""
    predicted = outcome.predicted[design]
    k = len(outcome.classes)
    parts = confusion_parts(outcome, predicted, int(outcome.rows.subject.max()) + 1)
    return np.asarray(parts.sum(axis=1).mean(axis=0).reshape(k, k))


def calibration_curve(outcome: Outcome, design: Design) -> Array:
    """Per bin of the answer's probability that is not empty: count, mean probability, share that was right, (b, 3)."""
    rows = calibration_rows(outcome, outcome.predicted[design])
    cells = rows.mean(axis=0).sum(axis=0).reshape(-1, 3)
    cells = cells[cells[:, 0] > 0]
    return np.column_stack([cells[:, 0], cells[:, 1] / cells[:, 0], cells[:, 2] / cells[:, 0]])
