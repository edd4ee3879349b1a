"""An evaluation → report.json with every number, report.html with tables and pictures, and the feature embedding."""

from __future__ import annotations

import base64
import json
import math
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.design import Design, Kind
from lnc_dicom.biomarker.evaluation.evaluate import Evaluation
from lnc_dicom.biomarker.evaluation.figures import pictures_of
from lnc_dicom.biomarker.evaluation.inputs import Leak
from lnc_dicom.biomarker.evaluation.scoring import UNITS, Target, calibration_curve, confusion
from lnc_dicom.biomarker.evaluation.tables import design_name, tables_of

RESEARCH = "Research only. Not a medical device; not for diagnosis or treatment."
DEMONSTRATION = "Demonstration model: trained on simulated patients, no clinical meaning."
SIMULATED = "Simulated cohort: these numbers check the software and say nothing about patients."
_FITTED = (
    "Inside the training fold: standardisation, lossless PCA, ridge (FA, CBF, stems) or multinomial logistic "
    "regression (disease); penalty and weight of the network's own predictions chosen on the inner folds; 90 % "
    "intervals are conformal from inner residuals; probabilities are temperature-scaled on inner logits; the number of "
    "stems is a normal distribution cut between the whole numbers."
)
FILES = ("report.json", "report.html", "features.png")


def write_report(folder: Path, e: Evaluation) -> None:
    """Write report.json, report.html (self-contained) and features.png."""
    pictures = pictures_of(e)
    (folder / FILES[0]).write_text(json.dumps(numbers(e), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / FILES[1]).write_text(_page(e, pictures), encoding="utf-8")
    (folder / FILES[2]).write_bytes(pictures["Deep features"][0])


def banners(e: Evaluation) -> list[str]:
    """Say what has to stand above every number."""
    texts = [RESEARCH]
    texts += [DEMONSTRATION] if e.options.demonstration else []
    texts += [SIMULATED] if e.options.simulated else []
    if e.options.leak is not Leak.NONE:
        texts.append(f"Leakage put in on purpose ({e.options.leak.value}): these numbers show the alarm, nothing else.")
    return texts


def protocol(e: Evaluation) -> list[str]:
    """How it was done, in sentences."""
    o = e.options
    network = (
        "The network was trained on other patients and is the same in all folds; only the regressions on its deep "
        "features and predictions are fitted here."
        if e.frozen
        else "The network was trained anew in every outer training fold."
    )
    grouped = (
        "Folds split rows, not patients: leakage on purpose."
        if o.leak is not Leak.NONE
        else "All sides and views of a patient share a fold; folds are balanced for group, and for site where possible."
    )
    left_out = sum(e.rejected.values())
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(e.rejected.items()))
    return [
        f"{e.patients} patients; regions: {', '.join(e.regions)}"
        + (f"; {left_out} could not be used ({codes})." if left_out else "."),
        f"Nested cross-validation: {o.folds} outer folds, {o.repeats} times; {o.inner} inner folds. {grouped}",
        network,
        _FITTED,
        f"'{design_name(Design.AGE, e)}' and volumetry are regressions fitted in the same way on the same folds.",
        f"Intervals: 95 %, BCa bootstrap of patients ({o.resamples} resamples), Clopper-Pearson for proportions.",
    ]


def _page(e: Evaluation, pictures: dict[str, tuple[bytes, str]]) -> str:
    environment = Environment(
        loader=PackageLoader("lnc_dicom.biomarker.evaluation", "."), autoescape=True, undefined=StrictUndefined
    )
    embedded = {title: (base64.b64encode(png).decode(), text) for title, (png, text) in pictures.items()}
    return environment.get_template("page.html").render(
        banners=banners(e),
        alarms=e.alarms,
        explained=e.explained,
        findings=e.findings,
        protocol=protocol(e),
        tables=tables_of(e),
        pictures=embedded,
    )


def numbers(e: Evaluation) -> dict[str, Any]:
    """Every number, ready for JSON: null where one is not defined; [value, low, high] for estimates."""
    classes = (Kind.STEMS, Kind.DISEASE)
    found: dict[str, Any] = _plain(
        {
            "notes": banners(e),
            "alarms": e.alarms,
            "explained_by_age": e.explained,
            "findings": e.findings,
            "patients": e.patients,
            "left_out": e.rejected,
            "regions": e.regions,
            "groups": e.group_names,
            "covariates": e.covariates,
            "network_trained_on_other_patients": e.frozen,
            "options": e.options,
            "targets": [_target(t) for t in e.targets],
            "confusion": {k.value: {d: confusion(e.outcome(k), d) for d in e.outcome(k).predicted} for k in classes},
            "calibration": {k.value: calibration_curve(e.outcome(k), Design.MODEL) for k in classes},
            "permutations": {p.kind.value: {"count": p.count, **p.scores} for p in e.permutations},
            "learning_curve": e.learning,
            "sites": e.sites,
            "group_table": e.groups,
            "left_right": e.sides,
        }
    )
    return found


def _target(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "region": target.region,
        "unit": UNITS[target.name],
        "rows": target.rows,
        "scores": target.scores,
        "differences": {f"{a.value} - {b.value}": s for (a, b), s in target.differences.items()},
        "share_of_oracle_gain": target.shares,
    }


def _plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - whatever JSON can hold
    """Turn nested values into what JSON knows."""
    match value:
        case Estimate():
            return _plain([value.value, value.low, value.high])
        case Enum():
            return value.value
        case dict():
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
