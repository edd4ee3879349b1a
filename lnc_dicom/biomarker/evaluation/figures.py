"""An evaluation → its pictures as PNG; points are patients, but none of them is named."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from lnc_dicom.biomarker.cohort import MAPS
from lnc_dicom.biomarker.evaluation.conclusions import label
from lnc_dicom.biomarker.evaluation.design import Design, Kind
from lnc_dicom.biomarker.evaluation.evaluate import Evaluation
from lnc_dicom.biomarker.evaluation.scoring import UNITS, calibration_curve, confusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's: told apart by every eye."""


def pictures_of(e: Evaluation) -> dict[str, tuple[bytes, str]]:
    """Every picture by title: the PNG, and a sentence on what it shows."""
    drawn = {
        "Predicted and measured": (_scatter(e), "Out-of-fold predictions of the model; the line is where they agree."),
        "Confusion": (_confusion(e), "Rows: true; columns: answered by the model; mean over the repeats."),
        "Calibration": (
            _calibration(e),
            "Share of right answers against the probability that the model gave them, with the number of answers.",
        ),
        "Deep features": (
            _embedding(e),
            "First two principal components of each patient's deep features. A picture is no evidence: see the scores.",
        ),
    }
    if e.permutations[0].count:
        drawn["Shuffled labels"] = (_shuffled(e), "Scores with shuffled labels; the line is the observed score.")
    if e.learning:
        drawn["Learning curve"] = (_learning(e), "Whether more patients would help; first repeat only.")
    return drawn


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    return file.getvalue()


def _figure(columns: int, rows: int = 1) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second to import; only evaluation draws

    figure = Figure(figsize=(4.2 * columns, 3.7 * rows), layout="constrained")
    return figure, list(np.ravel(figure.subplots(rows, columns, squeeze=False)))


def _scatter(e: Evaluation) -> bytes:
    """Predicted against measured FA, CBF (all regions) and stems, first repeat."""
    figure, axes = _figure(len(MAPS) + 1)
    names = [*(q.value.upper() for q in MAPS), "LSA stems"]
    for axis, name, number in zip(axes, names, range(len(names)), strict=True):
        kind = Kind.MAP if number < len(MAPS) else Kind.STEMS
        chosen = [o for o in e.outcomes if o.task.kind is kind and (kind is Kind.STEMS or o.task.quantity == number)]
        for outcome, colour in zip(chosen, _COLOURS, strict=False):
            region = e.regions[outcome.task.region] if kind is Kind.MAP else None
            spread = np.random.default_rng(1).uniform(-0.2, 0.2, len(outcome.rows.y)) if kind is Kind.STEMS else 0
            value = outcome.predicted[Design.MODEL].value[0]
            axis.plot(outcome.rows.y + spread, value, ".", color=colour, alpha=0.6, label=region)
        if chosen:
            low, high = (f(np.concatenate([o.rows.y for o in chosen])) for f in (np.min, np.max))
            axis.plot([low, high], [low, high], "-", color="grey", linewidth=1)
        unit = f" ({UNITS[name]})" if UNITS[name] and name != "LSA stems" else ""
        axis.set(title=name, xlabel=f"measured{unit}", ylabel=f"predicted{unit}")
        if kind is Kind.MAP and chosen:
            axis.legend(fontsize=8)
    return _png(figure)


def _confusion(e: Evaluation) -> bytes:
    figure, axes = _figure(2)
    for axis, kind in zip(axes, (Kind.STEMS, Kind.DISEASE), strict=True):
        outcome = e.outcome(kind)
        table = confusion(outcome, Design.MODEL)
        axis.imshow(table, cmap="Blues", vmin=0)
        for i, line in enumerate(table):
            for j, count in enumerate(line):
                text = f"{count:.1f}".removesuffix(".0")
                axis.text(j, i, text, ha="center", va="center", color="white" if count > table.max() / 2 else "black")
        names = [str(c) for c in outcome.classes] if kind is Kind.STEMS else [str(c + 1) for c in outcome.classes]
        axis.set_xticks(range(len(names)), names)
        axis.set_yticks(range(len(names)), names)
        title = "LSA stems" if kind is Kind.STEMS else "disease"
        axis.set(title=title, xlabel="answered", ylabel="true")
    axes[1].set_xlabel("answered\n" + "\n".join(f"{i + 1} {n}" for i, n in enumerate(e.group_names)), fontsize=8)
    return _png(figure)


def _calibration(e: Evaluation) -> bytes:
    figure, axes = _figure(2)
    for axis, kind in zip(axes, (Kind.STEMS, Kind.DISEASE), strict=True):
        curve = calibration_curve(e.outcome(kind), Design.MODEL)
        axis.plot([0, 1], [0, 1], "-", color="grey", linewidth=1)
        axis.plot(curve[:, 1], curve[:, 2], "o-", color=_COLOURS[0])
        for count, sure, right in curve:
            axis.annotate(f"{count:.0f}", (sure, right), xytext=(5, -10), textcoords="offset points", fontsize=8)
        axis.set(title="LSA stems" if kind is Kind.STEMS else "disease", xlim=(0, 1), ylim=(-0.03, 1.03))
        axis.set(xlabel="probability of the answer", ylabel="share that was right")
    return _png(figure)


def _embedding(e: Evaluation) -> bytes:
    figure, (axis,) = _figure(1)
    figure.set_size_inches(6.5, 4.5)
    for number, (name, colour) in enumerate(zip(e.group_names, _COLOURS * len(e.group_names), strict=False)):
        points = e.embedding[e.group == number]
        axis.plot(points[:, 0], points[:, 1], "o", color=colour, alpha=0.7, markersize=5, label=name)
    axis.set(xlabel="first component", ylabel="second component")
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.24))
    return _png(figure)


def _shuffled(e: Evaluation) -> bytes:
    figure, axes = _figure(2)
    for axis, permutation in zip(axes, e.permutations, strict=True):
        name, found = next(iter(permutation.scores.items()))
        axis.hist(found.values, bins=20, color="lightgrey", edgecolor="grey")
        axis.axvline(found.observed, color=_COLOURS[1], label=f"observed, p = {found.p:.3g}")
        axis.axvline(found.chance, color="black", linestyle=":", label="chance")
        title = "LSA stems" if permutation.kind is Kind.STEMS else "disease"
        axis.set(title=title, xlabel=label(name), ylabel="shuffles")
        axis.legend(fontsize=8)
    return _png(figure)


def _learning(e: Evaluation) -> bytes:
    names = list(e.learning[0].scores)
    figure, axes = _figure(len(names))
    patients = [p.patients for p in e.learning]
    for axis, name in zip(axes, names, strict=True):
        for design, style in ((Design.MEAN, ":"), (Design.MODEL, "o-")):
            values = [p.scores[name][design] for p in e.learning]
            axis.plot(
                patients, values, style, color=_COLOURS[0] if design is Design.MODEL else "grey", label=design.value
            )
        axis.set(title=name, xlabel="training patients", ylabel="accuracy" if name == "disease" else "R²")
        axis.legend(fontsize=8)
    return _png(figure)
