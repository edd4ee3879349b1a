"""An evaluation → tables of text: what the console prints and the page shows, each with a sentence on its meaning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.conclusions import label
from lnc_dicom.biomarker.evaluation.design import Design, Kind
from lnc_dicom.biomarker.evaluation.evaluate import Evaluation
from lnc_dicom.biomarker.evaluation.scoring import UNITS, Target

_SCORES = {
    Kind.MAP: ("rmse", "rmse_over_mean", "r2", "mae", "coverage"),
    Kind.STEMS: (
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
    Kind.DISEASE: ("accuracy", "balanced_accuracy", "macro_auc", "brier", "ece"),
}
_PERCENT = {"rmse_over_mean", "coverage", "accuracy", "within_1", "both_sides_right", "balanced_accuracy"}
_TITLES = {Kind.MAP: "FA and CBF", Kind.STEMS: "Task 1: LSA stems", Kind.DISEASE: "Task 2: disease"}
_MEANING = {
    Kind.MAP: (
        "RMSE/mean is the paper's figure. It means something only beside the mean predictor: what lies between them is "
        "skill. R² counts against the mean of each region. Intervals: BCa bootstrap of patients (95 %); they tell what "
        "other patients of the same kind would give, not what another network would."
    ),
    Kind.STEMS: (
        "One value per patient and side. Two readings of the same arteries agree on the exact number in about two "
        "of three cases, so accuracy cannot come near 100 %. Intervals of proportions are Clopper-Pearson with one "
        "trial per patient, as if both sides always agreed: rather too wide than too narrow. The mean predictor "
        "answers with the most frequent number of the whole cohort."
    ),
    Kind.DISEASE: (
        "One value per patient. The mean predictor answers with the largest group. Brier score: 0 best, 2 worst; ECE "
        "is taken over ten bins and is never 0 in so few patients. Accuracy: Clopper-Pearson interval."
    ),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Title, headings, lines of text, and what it means."""

    title: str
    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    meaning: str


def tables_of(e: Evaluation) -> tuple[Table, ...]:
    """Every table, in the order of the page."""
    tables = [paper_table(e)]
    tables += [_scores(e, kind) for kind in Kind]
    tables += [_differences(e), _shares(e), _permutations(e), _sites(e), _groups(e), _sides(e)]
    return tuple(t for t in tables if t.lines)


def paper_table(e: Evaluation) -> Table:
    """Give the paper's table: RMSE over the mean per region and accuracy of both tasks, by design."""
    designs = tuple(e.targets[0].scores)
    lines = []
    for t in e.targets:
        score = "rmse_over_mean" if t.kind is Kind.MAP else "accuracy"
        lines.append((_name(t), f"{label(score)} (%)", *(percent(t.scores[d][score]) for d in designs)))
    return Table(
        "The paper's table, with what it has to be compared with",
        ("target", "score", *(design_name(d, e) for d in designs)),
        tuple(lines),
        "Every column is predicted out of fold on the same folds; less is better for RMSE/mean, more for accuracy. "
        "The paper's 0.154 to 0.213 % is ten times below what FA, and seventy times below what CBF repeats to; as "
        "ratios, 15 to 21 % is what the mean predictor gives.",
    )


def design_name(design: Design, e: Evaluation) -> str:
    """Name of a design, with the covariates that this cohort has."""
    return design.value.replace("age + sex", " + ".join(e.covariates))


def percent(estimate: Estimate) -> str:
    """Give an estimate in percent."""
    if math.isnan(estimate.value):
        return "-"
    text = f"{100 * estimate.value:.1f}"
    return text if math.isnan(estimate.low) else f"{text} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _name(target: Target) -> str:
    return f"{target.name} {target.region}".rstrip()


def _cell(score: str, scores: Mapping[str, Estimate]) -> str:
    if score not in scores:
        return "-"
    return percent(scores[score]) if score in _PERCENT else str(scores[score])


def _scores(e: Evaluation, kind: Kind) -> Table:
    names = _SCORES[kind]
    lines = [
        (_name(t), design_name(d, e), *(_cell(n, scores) for n in names))
        for t in e.targets
        if t.kind is kind
        for d, scores in t.scores.items()
    ]
    headings = tuple(f"{label(n)} (%)" if n in _PERCENT else label(n) for n in names)
    return Table(_TITLES[kind], ("target", "predicted from", *headings), tuple(lines), _units(e, kind) + _MEANING[kind])


def _units(e: Evaluation, kind: Kind) -> str:
    units = {t.name: UNITS[t.name] for t in e.targets if t.kind is kind and UNITS[t.name]}
    text = "; ".join(f"{name} in {unit}" for name, unit in units.items())
    return f"{text}. " if text else ""


def _differences(e: Evaluation) -> Table:
    some = [t for t in e.targets if t.region in {"", "all inputs"}]
    columns = tuple(some[0].differences)
    lines = [
        (_name(t), label(n), *(str(t.differences[pair][n]) for pair in columns))
        for t in some
        for n in t.differences[columns[0]]
    ]
    return Table(
        "Differences on the same patients",
        ("target", "score", *(f"{design_name(a, e)} - {design_name(b, e)}" for a, b in columns)),
        tuple(lines),
        "First minus second with its 95 % interval, resampled together. An interval that includes 0 means that the two "
        "cannot be told apart. Negative is better for RMSE, RMSE/mean and the Brier score.",
    )


def _shares(e: Evaluation) -> Table:
    some = [t for t in e.targets if t.region in {"", "all inputs"} and t.shares]
    columns = tuple(some[0].shares) if some else ()
    lines = [
        (_name(t), label(n), *(percent(t.shares[d][n]) for d in columns)) for t in some for n in t.shares[columns[0]]
    ]
    return Table(
        "Share of the oracle's gain over the mean predictor (%)",
        ("target", "score", *(design_name(d, e) for d in columns)),
        tuple(lines),
        "The oracle reads everything that the T1 shows without error, knows age and sex, and was fitted on very many "
        "simulated people. "
        "100 % is all that can be known; where the oracle itself gains little, the share means little.",
    )


def _permutations(e: Evaluation) -> Table:
    lines = [
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
    frozen = "" if e.frozen else " The network itself was not trained again on shuffled labels."
    return Table(
        "Shuffled labels",
        ("task", "score", "as observed (first repeat)", "shuffled mean [99.9 %]", "chance", "p"),
        tuple(lines),
        f"Labels shuffled {count} times between patients, both sides together; p = (1 + shuffled at least as good) / "
        f"(1 + shuffled). The first score of each task counts for the alarm: a shuffled mean above chance beyond its "
        f"interval shows that the folds leak.{frozen}",
    )


def _sites(e: Evaluation) -> Table:
    names = tuple(e.sites[0].scores) if e.sites else ()
    lines = [(r.site, str(r.patients), *(percent(r.scores[n]) for n in names)) for r in e.sites]
    return Table(
        "By scanner",
        ("site", "patients", *(f"{n.replace('rmse_over_mean', 'RMSE/mean')} (%)" for n in names)),
        tuple(lines),
        "The model's scores among the patients of each scanner; every scanner is also in the training folds, so this "
        "does not tell how the model does at a scanner that it has not seen.",
    )


def _groups(e: Evaluation) -> Table:
    lines = [
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
        tuple(lines),
        "Mean ± SD, of both sides together for stems, FA and CBF. Effect size: epsilon squared (Kruskal-Wallis), "
        "Cramér's V (chi-squared). A small p for age means that age may stand behind any other difference.",
    )


def _sides(e: Evaluation) -> Table:
    lines = [
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
        tuple(lines),
        "Paired within patients, with 95 % intervals. A p above 0.05 does not show that the sides are equal: look at "
        "how large a difference the interval still allows.",
    )


def console_rows(e: Evaluation, write: Callable[[str], None]) -> Sequence[tuple[str, ...]]:
    """Hand the warnings and findings to `write`, and give the paper's table, headings first, for the console."""
    for text in (*e.alarms, *e.explained, *e.findings):
        write(text)
    table = paper_table(e)
    return [table.headings, *table.lines]
