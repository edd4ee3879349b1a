"""An evaluation → report.json (every number), report.html (tables and figures) and features.png (embedding)."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.design import Method, TaskKind
from lnc_dicom.biomarker.evaluation.evaluate import Evaluation
from lnc_dicom.biomarker.evaluation.figures import figures_of
from lnc_dicom.biomarker.evaluation.scoring import UNITS, TargetScores, calibration_curve, confusion
from lnc_dicom.biomarker.evaluation.tables import method_name, tables_of
from lnc_dicom.report import DEMONSTRATION

RESEARCH = "Research only. Not a medical device; not for diagnosis or treatment."
DEMONSTRATION_NOTE = f"{DEMONSTRATION.capitalize()}."
SIMULATED = "Simulated cohort: these numbers verify the software and are no evidence about patients."
_FITTED = (
    "Fitted inside the training fold: standardisation, lossless PCA, ridge (FA, CBF, stems) or multinomial logistic "
    "regression (disease). The penalty and the prior weight of the network's own predictions are chosen on the inner "
    "folds; 90 % intervals are conformal, from the residuals of the inner folds; probabilities are temperature-scaled "
    "on their logits; the number of stems is a normal variable rounded to whole numbers."
)
FILES = ("report.json", "report.html", "features.png")


def write_report(folder: Path, e: Evaluation) -> None:
    """Write report.json, report.html (self-contained) and features.png."""
    figures = figures_of(e)
    (folder / FILES[0]).write_text(json.dumps(report_json(e), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / FILES[1]).write_text(_page(e, figures), encoding="utf-8")
    (folder / FILES[2]).write_bytes(figures["Deep features"][0])


def banners(e: Evaluation) -> list[str]:
    """Collect the notes that stand above every number."""
    texts = [RESEARCH]
    texts += [DEMONSTRATION_NOTE] if e.options.demonstration else []
    texts += [SIMULATED] if e.options.simulated else []
    return texts


def protocol(e: Evaluation) -> list[str]:
    """Sentences on how the evaluation was done."""
    o = e.options
    network = (
        "The network was trained on other patients and is the same in all folds; only the regressions on its deep "
        "features and predictions are fitted in the folds."
        if e.frozen
        else "The network was trained anew in every outer training fold."
    )
    grouped = "Both sides of a patient are in the same fold; folds are balanced over group, and site where possible."
    left_out = sum(e.rejected.values())
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(e.rejected.items()))
    return [
        f"{e.patients} patients; regions: {', '.join(e.regions)}"
        + (f"; {left_out} could not be used ({codes})." if left_out else "."),
        f"Nested cross-validation: {o.folds} outer folds, {o.repeats} times; {o.inner} inner folds. {grouped}",
        network,
        _FITTED,
        f"'{method_name(Method.AGE, e)}' and volumetry are regressions fitted in the same way in the same folds.",
        f"Intervals: 95 %, BCa bootstrap of patients ({o.resamples} resamples), Clopper-Pearson for proportions.",
    ]


def _page(e: Evaluation, figures: dict[str, tuple[bytes, str]]) -> str:
    environment = Environment(
        loader=PackageLoader("lnc_dicom.biomarker.evaluation", "."), autoescape=True, undefined=StrictUndefined
    )
    embedded = {title: (base64.b64encode(png).decode(), text) for title, (png, text) in figures.items()}
    return environment.get_template("page.html").render(
        banners=banners(e),
        alarms=e.alarms,
        explained_by_age=e.explained_by_age,
        findings=e.findings,
        protocol=protocol(e),
        tables=tables_of(e),
        figures=embedded,
    )


def report_json(e: Evaluation) -> dict[str, Any]:
    """Every number as JSON values: [value, low, high] for estimates, None where a number is not defined."""
    classes = (TaskKind.STEMS, TaskKind.DISEASE)
    found: dict[str, Any] = _plain(
        {
            "notes": banners(e),
            "alarms": e.alarms,
            "explained_by_age": e.explained_by_age,
            "findings": e.findings,
            "patients": e.patients,
            "left_out": e.rejected,
            "regions": e.regions,
            "groups": e.group_names,
            "covariates": e.covariates,
            "network_trained_on_other_patients": e.frozen,
            "options": e.options,
            "targets": [_target(t) for t in e.targets],
            "confusion": {k.value: {d: confusion(e.result(k), d) for d in e.result(k).predicted} for k in classes},
            "calibration": {k.value: calibration_curve(e.result(k), Method.MODEL) for k in classes},
            "permutations": {p.kind.value: {"count": p.count, **p.scores} for p in e.permutations},
            "learning_curve": e.learning_curve,
            "sites": e.sites,
            "group_table": e.groups,
            "left_right": e.sides,
        }
    )
    return found


def _target(target: TargetScores) -> dict[str, Any]:
    return {
        "name": target.name,
        "region": target.region,
        "unit": UNITS[target.name],
        "samples": target.samples,
        "scores": target.scores,
        "differences": {f"{a.value} - {b.value}": s for (a, b), s in target.differences.items()},
        "share_of_oracle_gain": target.shares,
    }


def _plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any JSON value
    """Convert nested values to JSON values."""
    match value:
        case Estimate():
            return _plain([value.value, value.low, value.high])
        case Enum():
            return value.value
        case Mapping():
            return {str(_plain(k)): _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
        case np.ndarray():
            return _plain(value.tolist())
        case float():
            return float(f"{value:.6g}") if math.isfinite(value) else None
        case None | str() | int():
            return value
        case _:
            return {name: _plain(getattr(value, name)) for name in value.__slots__}
