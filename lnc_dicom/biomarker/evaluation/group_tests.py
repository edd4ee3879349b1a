"""A cohort → comparisons of its groups, and of left and right, with effect sizes: further tables of the paper."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lnc_dicom.biomarker.cohort import MAPS, Cohort
from lnc_dicom.biomarker.evaluation.bootstrap import FEWEST, LEVEL, Bootstrap, Estimate
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints
from lnc_dicom.biomarker.evaluation.metrics import sums


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """One quantity by group: number of known values, mean and SD per group, test and effect size.

    effect
        Epsilon squared of Kruskal-Wallis (0 to 1); Cramér's V for sex.
    """

    name: str
    known: tuple[int, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    test: str
    p: float
    effect: float


@dataclass(frozen=True, slots=True)
class SideComparison:
    """One quantity, left minus right: mean difference with its interval, Cohen's dz, p of the paired t-test.

    p_wilcoxon
        Of the signed-rank test. p_holm: of the t-test, Holm-corrected over the table.
    """

    name: str
    patients: int
    left: float
    right: float
    difference: Estimate
    dz: Estimate
    p: float
    p_wilcoxon: float
    p_holm: float = math.nan


def quantities(cohort: Cohort) -> dict[str, Array]:
    """Stems, FA and CBF per region, by side: (n, 2) each; nan where not measured."""
    table = {"LSA stems": cohort.stems.astype(float)}
    sides = cohort.measured.reshape(len(cohort), 2, len(cohort.regions), len(MAPS))
    for q, quantity in enumerate(MAPS):
        for r, region in enumerate(cohort.regions):
            if np.isfinite(sides[:, :, r, q]).any():
                table[f"{quantity.value.upper()} {region}"] = sides[:, :, r, q]
    return table


def compare_groups(cohort: Cohort, group_names: Sequence[str]) -> tuple[GroupComparison, ...]:
    """Age, sex, and the mean of both sides of stems, FA and CBF, by group."""
    group = cohort.groups(group_names)
    age = np.array([p.age for p in cohort.patients])
    man = np.array([{"M": 1.0, "F": 0.0}.get(p.sex, math.nan) for p in cohort.patients])
    rows = [_kruskal("age (years)", age, group, len(group_names)), _cramer(man, group, len(group_names))]
    for name, sides in quantities(cohort).items():
        known = np.isfinite(sides)
        mean = np.where(
            known.any(axis=1), np.where(known, sides, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1), np.nan
        )
        rows.append(_kruskal(name, mean, group, len(group_names)))
    return tuple(rows)


def _kruskal(name: str, values: Array, group: Ints, groups: int) -> GroupComparison:
    parts = [values[(group == g) & np.isfinite(values)] for g in range(groups)]
    some = [p for p in parts if len(p)]
    count = sum(len(p) for p in some)
    h, p = math.nan, math.nan
    if len(some) > 1 and len(np.unique(np.concatenate(some))) > 1:
        h, p = (float(v) for v in stats.kruskal(*some))
    return _row(name, parts, "Kruskal-Wallis", p, h / max(count - 1, 1))


def _cramer(man: Array, group: Ints, groups: int) -> GroupComparison:
    parts = [man[(group == g) & np.isfinite(man)] for g in range(groups)]
    table = np.array([[(p == v).sum() for v in (0, 1)] for p in parts])
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    p, v = math.nan, math.nan
    if min(table.shape, default=0) > 1:
        p = float(stats.chi2_contingency(table, correction=False).pvalue)
        v = float(stats.contingency.association(table, method="cramer"))
    return _row("share of men", parts, "chi-squared", p, v)


def _row(name: str, parts: Sequence[Array], test: str, p: float, effect: float) -> GroupComparison:
    mean = tuple(float(p.mean()) if len(p) else math.nan for p in parts)
    sd = tuple(float(p.std(ddof=1)) if len(p) > 1 else math.nan for p in parts)
    return GroupComparison(name, tuple(len(p) for p in parts), mean, sd, test, p, effect)


def compare_sides(cohort: Cohort, bootstrap: Bootstrap) -> tuple[SideComparison, ...]:
    """Left minus right of stems, FA and CBF per region, over the patients with both sides measured."""
    compared = [
        _compare_sides(name, sides, bootstrap)
        for name, sides in quantities(cohort).items()
        if np.isfinite(sides).all(axis=1).sum() >= FEWEST
    ]
    tested = [c.name for c in compared if math.isfinite(c.p)]
    if not tested:
        return tuple(compared)
    holm = multipletests([c.p for c in compared if math.isfinite(c.p)], method="holm")[1]
    p_holm = dict(zip(tested, map(float, holm), strict=True))
    return tuple(replace(c, p_holm=p_holm.get(c.name, math.nan)) for c in compared)


def _compare_sides(name: str, sides: Array, bootstrap: Bootstrap) -> SideComparison:
    known = np.isfinite(sides).all(axis=1)
    left, right = sides[known].T
    means = (int(known.sum()), float(left.mean()), float(right.mean()))
    difference = left - right
    if difference.std() == 0:
        return SideComparison(name, *means, Estimate(float(difference.mean())), Estimate(math.nan), math.nan, math.nan)
    test = stats.ttest_rel(left, right)
    interval = test.confidence_interval(LEVEL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ties: the normal approximation is used
        p_wilcoxon = float(stats.wilcoxon(difference, zero_method="pratt").pvalue)
    return SideComparison(
        name,
        *means,
        Estimate(float(difference.mean()), float(interval.low), float(interval.high)),
        cohen_dz(sides, bootstrap),
        float(test.pvalue),
        p_wilcoxon,
    )


def cohen_dz(sides: Array, bootstrap: Bootstrap) -> Estimate:
    """Cohen's dz, mean over SD of the paired differences of (n, 2), with its bootstrap interval."""
    known = np.flatnonzero(np.isfinite(sides).all(axis=1))
    difference = np.zeros(len(sides))
    difference[known] = sides[known, 0] - sides[known, 1]
    parts = np.stack([np.ones(len(sides)), difference, difference**2], axis=-1)[None]

    def dz(total: Array) -> Array:
        count, first, second = (total[..., i] for i in range(3))
        return np.asarray(first / count / np.sqrt((second - first**2 / count) / (count - 1)))

    return bootstrap.estimate(sums(parts, dz), known)
