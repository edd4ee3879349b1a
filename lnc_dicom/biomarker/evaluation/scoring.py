"""Predictions → scores with intervals per target and method, differences, and shares of the oracle's gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lnc_dicom.biomarker.cohort import MAPS
from lnc_dicom.biomarker.evaluation.bootstrap import Bootstrap, Estimate, clopper_pearson, difference, share_of_gain
from lnc_dicom.biomarker.evaluation.cross_validation import TaskResult
from lnc_dicom.biomarker.evaluation.design import Method, TaskKind
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints
from lnc_dicom.biomarker.evaluation.metrics import (
    Statistic,
    both_sides_right,
    calibration_bins,
    confusion_parts,
    confusion_statistics,
    error_parts,
    probability_statistics,
    regression_statistics,
)
from lnc_dicom.quantities import QUANTITIES, Quantity

DIFFERENCES = (
    (Method.MODEL, Method.MEAN),
    (Method.MODEL, Method.AGE),
    (Method.MODEL, Method.VOLUMES),
    (Method.MODEL_AGE, Method.MEAN),
    (Method.MODEL_AGE, Method.AGE),
)
SHARES = (Method.AGE, Method.VOLUMES, Method.MODEL, Method.MODEL_AGE)
COMPARED = {
    TaskKind.MAP: ("rmse", "rmse_over_mean", "r2"),
    TaskKind.STEMS: ("rmse", "r2", "accuracy", "quadratic_kappa"),
    TaskKind.DISEASE: ("accuracy", "balanced_accuracy", "macro_auc", "brier"),
}
"""Scores whose differences and shares are reported."""
UNITS = {
    **{QUANTITIES[q].name: QUANTITIES[q].unit_text for q in (Quantity.FA, Quantity.CBF)},
    "LSA stems": "stems",
    "disease": "",
}
"""Of each target, as readers see them."""


@dataclass(frozen=True, slots=True)
class TargetScores:
    """Scores of one target.

    name
        "FA", "CBF", "LSA stems" or "disease". region: the region, "all inputs" where they are pooled, or empty.
    samples
        Number of predicted values.
    scores
        By method and name of the score.
    differences
        First method minus second, by (first, second) and score. shares: of the oracle's gain over the mean predictor.
    """

    kind: TaskKind
    name: str
    region: str
    samples: int
    scores: Mapping[Method, Mapping[str, Estimate]]
    differences: Mapping[tuple[Method, Method], Mapping[str, Estimate]]
    shares: Mapping[Method, Mapping[str, Estimate]]


@dataclass(frozen=True, slots=True)
class SiteScores:
    """Scores of the model for the patients of one scanner, by target."""

    site: str
    patients: int
    scores: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, eq=False)
class TargetStatistics:
    """Statistics of one target, by method and score, for the bootstrap."""

    kind: TaskKind
    name: str
    region: str
    samples: int
    statistics: Mapping[Method, Mapping[str, Statistic]]


def statistics_of(results: Sequence[TaskResult], regions: Sequence[str], patients: int) -> tuple[TargetStatistics, ...]:
    """Statistics of every region's FA and CBF, of all regions pooled, of the stems and of the disease."""
    scored = []
    for q, quantity in enumerate(MAPS):
        maps = [o for o in results if o.task.kind is TaskKind.MAP and o.task.quantity == q]
        name = quantity.value.upper()
        scored += [_pooled([o], name, regions[o.task.region], patients) for o in maps]
        if maps:
            scored.append(_pooled(maps, name, "all inputs", patients))
    for result in results:
        if result.task.kind is TaskKind.STEMS:
            scored.append(
                TargetStatistics(TaskKind.STEMS, "LSA stems", "", len(result.samples.y), _of_stems(result, patients))
            )
        elif result.task.kind is TaskKind.DISEASE:
            scored.append(
                TargetStatistics(TaskKind.DISEASE, "disease", "", len(result.samples.y), _of_disease(result, patients))
            )
    return tuple(scored)


def _pooled(results: Sequence[TaskResult], name: str, region: str, patients: int) -> TargetStatistics:
    statistics = {}
    for method in results[0].predicted:
        parts = [error_parts(o, o.predicted[method], patients) for o in results]
        oracle = method is Method.ORACLE
        statistics[method] = regression_statistics(np.concatenate(parts, axis=-1), intervals=not oracle)
    return TargetStatistics(TaskKind.MAP, name, region, sum(len(o.samples.y) for o in results), statistics)


def _of_stems(result: TaskResult, patients: int) -> dict[Method, dict[str, Statistic]]:
    statistics = {}
    for method, predicted in result.predicted.items():
        errors = error_parts(result, predicted, patients)
        of = regression_statistics(errors, intervals=method is not Method.ORACLE)
        of |= confusion_statistics(confusion_parts(result, predicted, patients), TaskKind.STEMS)
        of["both_sides_right"] = both_sides_right(result, predicted, patients)
        if method is not Method.ORACLE:
            calibrated = probability_statistics(result, predicted, patients)
            of |= {"brier": calibrated["brier"], "ece": calibrated["ece"]}
        statistics[method] = of
    return statistics


def _of_disease(result: TaskResult, patients: int) -> dict[Method, dict[str, Statistic]]:
    return {
        method: confusion_statistics(confusion_parts(result, predicted, patients), TaskKind.DISEASE)
        | probability_statistics(result, predicted, patients)
        for method, predicted in result.predicted.items()
    }


def score(scored: TargetStatistics, bootstrap: Bootstrap) -> TargetScores:
    """Estimate every statistic of a target with its interval.

    Proportions get Clopper-Pearson intervals with one trial per patient. For the stems the two sides of a patient count
    as one trial, as if they always agreed; the interval is conservative.
    """
    of = scored.statistics
    scores = {
        method: {name: _estimate(name, statistic, scored.kind, bootstrap) for name, statistic in statistics.items()}
        for method, statistics in of.items()
    }
    compared = COMPARED[scored.kind]
    differences = {
        (a, b): {n: bootstrap.estimate(difference(of[a][n], of[b][n])) for n in compared}
        for a, b in DIFFERENCES
        if a in of and b in of
    }
    shares = {
        d: {n: bootstrap.estimate(share_of_gain(of[d][n], of[Method.MEAN][n], of[Method.ORACLE][n])) for n in compared}
        for d in SHARES
        if Method.ORACLE in of
    }
    frozen = (MappingProxyType(found) for found in (scores, differences, shares))
    return TargetScores(scored.kind, scored.name, scored.region, scored.samples, *frozen)


def _estimate(name: str, statistic: Statistic, kind: TaskKind, bootstrap: Bootstrap) -> Estimate:
    if name in {"accuracy", "within_1", "both_sides_right"} and kind is not TaskKind.MAP:
        value = float(statistic(np.ones((1, bootstrap.patients)))[0])
        return clopper_pearson(value, bootstrap.patients)
    return bootstrap.estimate(statistic)


SITE_SCORES = {TaskKind.MAP: "rmse_over_mean", TaskKind.STEMS: "accuracy", TaskKind.DISEASE: "accuracy"}


def score_sites(
    scored: Sequence[TargetStatistics], sites: Sequence[str], bootstrap: Bootstrap
) -> tuple[SiteScores, ...]:
    """Score the model separately for the patients of each scanner."""
    rows = []
    for site in sorted(set(sites)):
        among = np.array([i for i, s in enumerate(sites) if s == site], np.int64)
        wanted = [s for s in scored if s.region in {"", "all inputs"}]
        estimates = {f"{s.name}: {SITE_SCORES[s.kind]}": _at_site(s, among, bootstrap) for s in wanted}
        rows.append(SiteScores(site or "unknown", len(among), MappingProxyType(estimates)))
    return tuple(rows)


def _at_site(scored: TargetStatistics, among: Ints, bootstrap: Bootstrap) -> Estimate:
    statistic = scored.statistics[Method.MODEL][SITE_SCORES[scored.kind]]
    if scored.kind is TaskKind.MAP:
        return bootstrap.estimate(statistic, among)
    weights = np.zeros((1, bootstrap.patients))
    weights[0, among] = 1.0
    return clopper_pearson(float(statistic(weights)[0]), len(among))


def confusion(result: TaskResult, method: Method) -> Array:
    """Confusion matrix, true class by row and predicted class by column: mean count over the repeats."""
    predicted = result.predicted[method]
    k = len(result.classes)
    parts = confusion_parts(result, predicted, int(result.samples.subject.max()) + 1)
    return np.asarray(parts.sum(axis=1).mean(axis=0).reshape(k, k))


def calibration_curve(result: TaskResult, method: Method) -> Array:
    """Per non-empty bin of the predicted probability: count, mean probability, share correct, (b, 3)."""
    rows = calibration_bins(result, result.predicted[method])
    cells = rows.mean(axis=0).sum(axis=0).reshape(-1, 3)
    cells = cells[cells[:, 0] > 0]
    return np.column_stack([cells[:, 0], cells[:, 1] / cells[:, 0], cells[:, 2] / cells[:, 0]])
