"""An evaluation → tables of text for the console and the page, each with its interpretation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.conclusions import label
from lnc_dicom.biomarker.evaluation.design import Method, TaskKind
from lnc_dicom.biomarker.evaluation.evaluate import Evaluation
from lnc_dicom.biomarker.evaluation.scoring import UNITS, TargetScores

_SCORES = {
    TaskKind.MAP: ("rmse", "rmse_over_mean", "r2", "mae", "coverage"),
    TaskKind.STEMS: (
        "rmse",
        "r2",
        "mae",
        "coverage",
        "accuracy",
        "within_1",
        "quadratic_kappa",
        "both_sides_right",
        "brier",
        "ece",
    ),
    TaskKind.DISEASE: ("accuracy", "balanced_accuracy", "macro_auc", "brier", "ece"),
}
_PERCENT = {"rmse_over_mean", "coverage", "accuracy", "within_1", "both_sides_right", "balanced_accuracy"}
_TITLES = {TaskKind.MAP: "FA and CBF", TaskKind.STEMS: "Task 1: LSA stems", TaskKind.DISEASE: "Task 2: disease"}
_MEANING = {
    TaskKind.MAP: (
        "RMSE/mean is the score of the paper. It is meaningful only next to the mean predictor: the difference is the "
        "skill. R² is relative to the mean of each region. Intervals: BCa bootstrap of patients (95 %); they cover the "
        "choice of patients, not that of the network."
    ),
    TaskKind.STEMS: (
        "One value per patient and side. Two readings of the same arteries agree on the exact number in about two "
        "of three cases, so accuracy cannot approach 100 %. Intervals of proportions are Clopper-Pearson with one "
        "trial per patient, as if both sides always agreed: conservative. The mean predictor predicts the most "
        "frequent number of the whole cohort."
    ),
    TaskKind.DISEASE: (
        "One value per patient. The mean predictor predicts the largest group. Brier score: 0 is best, 2 worst; ECE "
        "uses ten bins and is never 0 with so few patients. Accuracy: Clopper-Pearson interval."
    ),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Title, headings, rows of text, and interpretation."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    meaning: str


def tables_of(e: Evaluation) -> tuple[Table, ...]:
    """Every table with at least one row, in the order of the page."""
    tables = [paper_table(e)]
    tables += [_scores(e, kind) for kind in TaskKind]
    tables += [_differences(e), _shares(e), _permutations(e), _sites(e), _groups(e), _sides(e)]
    return tuple(t for t in tables if t.rows)


def paper_table(e: Evaluation) -> Table:
    """Give the table of the paper: RMSE over the mean per region and accuracy of both tasks, by method."""
    methods = tuple(e.targets[0].scores)
    rows = []
    for t in e.targets:
        score = "rmse_over_mean" if t.kind is TaskKind.MAP else "accuracy"
        rows.append((_name(t), f"{label(score)} (%)", *(percent(t.scores[d][score]) for d in methods)))
    return Table(
        "The table of the paper, with baselines",
        ("target", "score", *(method_name(d, e) for d in methods)),
        tuple(rows),
        "Every column is predicted out of fold in the same folds; lower is better for RMSE/mean, higher for accuracy. "
        "The paper's 0.154 to 0.213 % is ten times below the repeatability of FA and seventy times below that of CBF; "
        "read as ratios, 15 to 21 % is what the mean predictor reaches.",
    )


def method_name(method: Method, e: Evaluation) -> str:
    """Name of a method, with the covariates of this cohort."""
    return method.value.replace("age + sex", " + ".join(e.covariates))


def percent(estimate: Estimate) -> str:
    """Format an estimate in percent."""
    if math.isnan(estimate.value):
        return "-"
    text = f"{100 * estimate.value:.1f}"
    return text if math.isnan(estimate.low) else f"{text} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _name(target: TargetScores) -> str:
    return f"{target.name} {target.region}".rstrip()


def _cell(score: str, scores: Mapping[str, Estimate]) -> str:
    if score not in scores:
        return "-"
    return percent(scores[score]) if score in _PERCENT else str(scores[score])


def _scores(e: Evaluation, kind: TaskKind) -> Table:
    names = _SCORES[kind]
    rows = [
        (_name(t), method_name(d, e), *(_cell(n, scores) for n in names))
        for t in e.targets
        if t.kind is kind
        for d, scores in t.scores.items()
    ]
    headings = tuple(f"{label(n)} (%)" if n in _PERCENT else label(n) for n in names)
    return Table(_TITLES[kind], ("target", "predicted from", *headings), tuple(rows), _units(e, kind) + _MEANING[kind])


def _units(e: Evaluation, kind: TaskKind) -> str:
    units = {t.name: UNITS[t.name] for t in e.targets if t.kind is kind and UNITS[t.name]}
    text = "; ".join(f"{name} in {unit}" for name, unit in units.items())
    return f"{text}. " if text else ""


def _differences(e: Evaluation) -> Table:
    some = [t for t in e.targets if t.region in {"", "all inputs"}]
    columns = tuple(some[0].differences)
    rows = [
        (_name(t), label(n), *(str(t.differences[pair][n]) for pair in columns))
        for t in some
        for n in t.differences[columns[0]]
    ]
    return Table(
        "Differences on the same patients",
        ("target", "score", *(f"{method_name(a, e)} - {method_name(b, e)}" for a, b in columns)),
        tuple(rows),
        "First minus second with its 95 % interval, resampled together. If the interval includes 0, the two do not "
        "differ significantly. Negative is better for RMSE, RMSE/mean and the Brier score.",
    )


def _shares(e: Evaluation) -> Table:
    some = [t for t in e.targets if t.region in {"", "all inputs"} and t.shares]
    columns = tuple(some[0].shares) if some else ()
    rows = [
        (_name(t), label(n), *(percent(t.shares[d][n]) for d in columns)) for t in some for n in t.shares[columns[0]]
    ]
    return Table(
        "Share of the oracle's gain over the mean predictor (%)",
        ("target", "score", *(method_name(d, e) for d in columns)),
        tuple(rows),
        "The oracle knows everything that the T1 shows, without error, and age and sex; it was fitted to very many "
        "simulated people. 100 % is the best possible result; where the oracle itself gains little, the share means "
        "little.",
    )


def _permutations(e: Evaluation) -> Table:
    rows = [
        (
            _TITLES[p.kind],
            label(name),
            f"{s.observed:.3f}",
            f"{s.mean:.3f} [{s.low:.3f}, {s.high:.3f}]",
            f"{s.chance:.3f}",
            f"{s.p:.3g}",
        )
        for p in e.permutations
        for name, s in p.scores.items()
    ]
    count = e.permutations[0].count if e.permutations else 0
    frozen = "" if e.frozen else " The network itself was not retrained on shuffled labels."
    return Table(
        "Shuffled labels",
        ("task", "score", "observed (first repeat)", "shuffled mean [99.9 %]", "chance", "p"),
        tuple(rows),
        f"Labels shuffled {count} times between patients, both sides together; p = (1 + shuffled at least as good) / "
        f"(1 + shuffled). The alarm uses the first score of each task: if the interval of the shuffled mean lies above "
        f"chance, the folds leak.{frozen}",
    )


def _sites(e: Evaluation) -> Table:
    names = tuple(e.sites[0].scores) if e.sites else ()
    rows = [(r.site, str(r.patients), *(percent(r.scores[n]) for n in names)) for r in e.sites]
    return Table(
        "By scanner",
        ("site", "patients", *(f"{n.replace('rmse_over_mean', 'RMSE/mean')} (%)" for n in names)),
        tuple(rows),
        "Scores of the model for the patients of each scanner. Every scanner is also in the training folds, so this "
        "does not show how the model performs at a new scanner.",
    )


def _groups(e: Evaluation) -> Table:
    rows = [
        (
            r.name,
            *(f"{m:.3g} ± {s:.2g} (n {k})" for m, s, k in zip(r.mean, r.sd, r.known, strict=True)),
            r.test,
            f"{r.p:.3g}",
            f"{r.effect:.2f}",
        )
        for r in e.groups
    ]
    return Table(
        "The groups",
        ("", *e.group_names, "test", "p", "effect size"),
        tuple(rows),
        "Mean ± SD, of both sides together for stems, FA and CBF. Effect size: epsilon squared (Kruskal-Wallis), "
        "Cramér's V (chi-squared). A small p for age means that age may explain any other difference.",
    )


def _sides(e: Evaluation) -> Table:
    rows = [
        (
            r.name,
            str(r.patients),
            f"{r.left:.3g}",
            f"{r.right:.3g}",
            str(r.difference),
            str(r.dz),
            f"{r.p:.3g}",
            f"{r.p_wilcoxon:.3g}",
            f"{r.p_holm:.3g}",
        )
        for r in e.sides
    ]
    return Table(
        "Left and right",
        ("", "patients", "left", "right", "left - right", "Cohen's dz", "p (t)", "p (Wilcoxon)", "p (t, Holm)"),
        tuple(rows),
        "Paired within patients, with 95 % intervals. A p above 0.05 does not show that the sides are equal: see how "
        "large a difference the interval still allows.",
    )


def console_rows(e: Evaluation, write: Callable[[str], None]) -> Sequence[tuple[str, ...]]:
    """Pass alarms and findings to `write`; returns the table of the paper for the console, headings first."""
    for text in (*e.alarms, *e.explained_by_age, *e.findings):
        write(text)
    table = paper_table(e)
    return [table.headings, *table.rows]
