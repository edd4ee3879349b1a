"""An evaluation → its figures as PNG; points are patients, none of them named."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from lnc_dicom.biomarker.cohort import MAPS
from lnc_dicom.biomarker.evaluation.conclusions import label
from lnc_dicom.biomarker.evaluation.design import Method, TaskKind
from lnc_dicom.biomarker.evaluation.evaluate import Evaluation
from lnc_dicom.biomarker.evaluation.scoring import UNITS, calibration_curve, confusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Palette of Okabe and Ito, safe for colour blindness."""


def figures_of(e: Evaluation) -> dict[str, tuple[bytes, str]]:
    """Every figure by title: the PNG and its caption."""
    drawn = {
        "Predicted and measured": (
            _scatter(e),
            "Out-of-fold predictions of the model; the line is the identity.",
        ),
        "Confusion": (_confusion(e), "Rows: true class; columns: predicted by the model; mean over the repeats."),
        "Calibration": (
            _calibration(e),
            "Share of correct predictions against their probability, with the number of predictions in each bin.",
        ),
        "Deep features": (
            _embedding(e),
            "First two principal components of each patient's deep features. An illustration, no evidence.",
        ),
    }
    if e.permutations[0].count:
        drawn["Shuffled labels"] = (
            _shuffled(e),
            "Scores with shuffled labels; the line is the observed score.",
        )
    if e.learning_curve:
        drawn["Learning curve"] = (_learning(e), "Scores by number of training patients; first repeat only.")
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
    """Plot predicted against measured FA, CBF (all regions) and stems, first repeat."""
    figure, axes = _figure(len(MAPS) + 1)
    names = [*(q.value.upper() for q in MAPS), "LSA stems"]
    for axis, name, number in zip(axes, names, range(len(names)), strict=True):
        kind = TaskKind.MAP if number < len(MAPS) else TaskKind.STEMS
        chosen = [o for o in e.results if o.task.kind is kind and (kind is TaskKind.STEMS or o.task.quantity == number)]
        for result, colour in zip(chosen, _COLOURS, strict=False):
            region = e.regions[result.task.region] if kind is TaskKind.MAP else None
            spread = np.random.default_rng(1).uniform(-0.2, 0.2, len(result.samples.y)) if kind is TaskKind.STEMS else 0
            value = result.predicted[Method.MODEL].value[0]
            axis.plot(result.samples.y + spread, value, ".", color=colour, alpha=0.6, label=region)
        if chosen:
            low, high = (f(np.concatenate([o.samples.y for o in chosen])) for f in (np.min, np.max))
            axis.plot([low, high], [low, high], "-", color="grey", linewidth=1)
        unit = f" ({UNITS[name]})" if UNITS[name] and name != "LSA stems" else ""
        axis.set(title=name, xlabel=f"measured{unit}", ylabel=f"predicted{unit}")
        if kind is TaskKind.MAP and chosen:
            axis.legend(fontsize=8)
    return _png(figure)


def _confusion(e: Evaluation) -> bytes:
    figure, axes = _figure(2)
    for axis, kind in zip(axes, (TaskKind.STEMS, TaskKind.DISEASE), strict=True):
        result = e.result(kind)
        table = confusion(result, Method.MODEL)
        axis.imshow(table, cmap="Blues", vmin=0)
        for i, line in enumerate(table):
            for j, count in enumerate(line):
                text = f"{count:.1f}".removesuffix(".0")
                axis.text(j, i, text, ha="center", va="center", color="white" if count > table.max() / 2 else "black")
        names = [str(c) for c in result.classes] if kind is TaskKind.STEMS else [str(c + 1) for c in result.classes]
        axis.set_xticks(range(len(names)), names)
        axis.set_yticks(range(len(names)), names)
        title = "LSA stems" if kind is TaskKind.STEMS else "disease"
        axis.set(title=title, xlabel="predicted", ylabel="true")
    axes[1].set_xlabel("predicted\n" + "\n".join(f"{i + 1} {n}" for i, n in enumerate(e.group_names)), fontsize=8)
    return _png(figure)


def _calibration(e: Evaluation) -> bytes:
    figure, axes = _figure(2)
    for axis, kind in zip(axes, (TaskKind.STEMS, TaskKind.DISEASE), strict=True):
        curve = calibration_curve(e.result(kind), Method.MODEL)
        axis.plot([0, 1], [0, 1], "-", color="grey", linewidth=1)
        axis.plot(curve[:, 1], curve[:, 2], "o-", color=_COLOURS[0])
        for count, probability, correct in curve:
            axis.annotate(
                f"{count:.0f}", (probability, correct), xytext=(5, -10), textcoords="offset points", fontsize=8
            )
        axis.set(title="LSA stems" if kind is TaskKind.STEMS else "disease", xlim=(0, 1), ylim=(-0.03, 1.03))
        axis.set(xlabel="predicted probability", ylabel="share correct")
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
        title = "LSA stems" if permutation.kind is TaskKind.STEMS else "disease"
        axis.set(title=title, xlabel=label(name), ylabel="permutations")
        axis.legend(fontsize=8)
    return _png(figure)


def _learning(e: Evaluation) -> bytes:
    names = list(e.learning_curve[0].scores)
    figure, axes = _figure(len(names))
    patients = [p.patients for p in e.learning_curve]
    for axis, name in zip(axes, names, strict=True):
        for method, style in ((Method.MEAN, ":"), (Method.MODEL, "o-")):
            values = [p.scores[name][method] for p in e.learning_curve]
            axis.plot(
                patients, values, style, color=_COLOURS[0] if method is Method.MODEL else "grey", label=method.value
            )
        axis.set(title=name, xlabel="training patients", ylabel="accuracy" if name == "disease" else "R²")
        axis.legend(fontsize=8)
    return _png(figure)
