"""A cohort → how its groups differ, and how left differs from right: the paper's tables, with effect sizes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lnc_dicom.biomarker.cohort import MAPS, Cohort
from lnc_dicom.biomarker.evaluation.bootstrap import FEWEST, LEVEL, Bootstrap, Estimate
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints
from lnc_dicom.biomarker.evaluation.metrics import sums


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One quantity by group: number known, mean and SD per group, test and effect size.

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
class SideRow:
    """One quantity, left minus right: mean difference with its interval, Cohen's dz, p of the paired t-test.

    p_wilcoxon
        Of the signed-rank test. p_holm: the t-test's, corrected for all rows of the table.
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


def group_rows(cohort: Cohort, group_names: Sequence[str]) -> tuple[GroupRow, ...]:
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


def _kruskal(name: str, values: Array, group: Ints, groups: int) -> GroupRow:
    parts = [values[(group == g) & np.isfinite(values)] for g in range(groups)]
    some = [p for p in parts if len(p)]
    count = sum(len(p) for p in some)
    h, p = math.nan, math.nan
    if len(some) > 1 and len(np.unique(np.concatenate(some))) > 1:
        h, p = (float(v) for v in stats.kruskal(*some))
    return _row(name, parts, "Kruskal-Wallis", p, h / max(count - 1, 1))


def _cramer(man: Array, group: Ints, groups: int) -> GroupRow:
    parts = [man[(group == g) & np.isfinite(man)] for g in range(groups)]
    table = np.array([[(p == v).sum() for v in (0, 1)] for p in parts])
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    p, v = math.nan, math.nan
    if min(table.shape, default=0) > 1:
        chi2, p = (float(x) for x in stats.chi2_contingency(table, correction=False)[:2])
        v = math.sqrt(chi2 / table.sum() / (min(table.shape) - 1))
    return _row("share of men", parts, "chi-squared", p, v)


def _row(name: str, parts: Sequence[Array], test: str, p: float, effect: float) -> GroupRow:
    mean = tuple(float(p.mean()) if len(p) else math.nan for p in parts)
    sd = tuple(float(p.std(ddof=1)) if len(p) > 1 else math.nan for p in parts)
    return GroupRow(name, tuple(len(p) for p in parts), mean, sd, test, p, effect)


def side_rows(cohort: Cohort, bootstrap: Bootstrap) -> tuple[SideRow, ...]:
    """Left minus right of stems, FA and CBF per region, over the patients in whom both sides are known."""
    rows = [_side_row(name, sides, bootstrap) for name, sides in quantities(cohort).items()]
    rows = [r for r in rows if r is not None]
    defined = [i for i, r in enumerate(rows) if r is not None and math.isfinite(r.p)]
    if not defined:
        return tuple(r for r in rows if r is not None)
    holm = multipletests([r.p for r in rows if r is not None and math.isfinite(r.p)], method="holm")[1]
    by_row = dict(zip(defined, (float(p) for p in holm), strict=True))
    return tuple(
        SideRow(r.name, r.patients, r.left, r.right, r.difference, r.dz, r.p, r.p_wilcoxon, by_row.get(i, math.nan))
        for i, r in enumerate(rows)
        if r is not None
    )


def _side_row(name: str, sides: Array, bootstrap: Bootstrap) -> SideRow | None:
    known = np.flatnonzero(np.isfinite(sides).all(axis=1))
    if len(known) < FEWEST:
        return None
    left, right = sides[known, 0], sides[known, 1]
    apart = left - right
    mean, sd = float(apart.mean()), float(apart.std(ddof=1))
    if sd == 0:
        return SideRow(
            name, len(known), left.mean(), right.mean(), Estimate(mean), Estimate(math.nan), math.nan, math.nan
        )
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(known) - 1)) * sd / math.sqrt(len(known))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ties: the normal approximation is used
        p_wilcoxon = float(stats.wilcoxon(apart, zero_method="pratt").pvalue)
    return SideRow(
        name,
        len(known),
        float(left.mean()),
        float(right.mean()),
        Estimate(mean, mean - half, mean + half),
        cohen_dz(sides, bootstrap),
        float(stats.ttest_rel(left, right).pvalue),
        p_wilcoxon,
    )


def cohen_dz(sides: Array, bootstrap: Bootstrap) -> Estimate:
    """Mean over SD of the paired differences of (n, 2), with its bootstrap interval."""
    known = np.flatnonzero(np.isfinite(sides).all(axis=1))
    apart = np.zeros(len(sides))
    apart[known] = sides[known, 0] - sides[known, 1]
    parts = np.stack([np.ones(len(sides)), apart, apart**2], axis=-1)[None]

    def dz(total: Array) -> Array:
        count, first, second = (total[..., i] for i in range(3))
        return np.asarray(first / count / np.sqrt((second - first**2 / count) / (count - 1)))

    return bootstrap.estimate(sums(parts, dz), known)
