"""Report → what was found, one sentence per structure, for readers of text."""

from __future__ import annotations

from lnc_dicom.encode.pages.maps_table import UNITS, written
from lnc_dicom.maps.regional import NAMES
from lnc_dicom.predictions import PredictedValue
from lnc_dicom.report import DEMONSTRATION, OWN_CAVEATS, RESEARCH_ONLY, Report, failure_text
from lnc_dicom.types import Measurement, Quantity


def measured_sentences(report: Report) -> list[str]:
    """Volume of every structure with its interval, and the means of the maps; why, where a structure failed."""
    return [_measured(measurement) for measurement in report.measurements]


def predicted_sentences(report: Report) -> list[str]:
    """Say what the biomarker model predicts; nothing where there is none. Every sentence says "predicted"."""
    found = report.biomarker
    if found is None:
        return []
    note = f" ({DEMONSTRATION})" if found.demonstration else ""
    lines = [
        f"{r.structure.title}: predicted FA {_interval(r.fa, 2)}, "
        f"predicted CBF {_interval(r.cbf, 0)} ml/100 g/min{note}"
        for r in found.regions
    ]
    lines += [f"LSA stems, {r.side.value}: predicted {_interval(r.expected, 1)}{note}" for r in found.stems]
    if report.shows_disease:
        lines += [f"{name}: predicted probability {100 * p:.0f} %{note}" for name, p in found.disease.items()]
    return lines


def caveat_sentences(report: Report) -> list[str]:
    """Caveats of ours; others could name the patient."""
    own = {RESEARCH_ONLY, *OWN_CAVEATS}
    return [f"{caveat.code} {caveat.text}" for caveat in report.caveats if caveat.code in own]


def _measured(measurement: Measurement) -> str:
    if not measurement.passed:
        return failure_text(measurement)
    parts = [f"volume {measurement.volume_ml:.2f} mL"]
    if measurement.interval_ml is not None:
        low, high = measurement.interval_ml
        parts[0] += f" (90 % interval {low:.2f} to {high:.2f})"
    for quantity in (q for q in Quantity if q in measurement.statistics):
        unit = UNITS[quantity] if quantity is Quantity.CBF else ""
        parts.append(f"{NAMES[quantity]} {written(measurement, quantity)} {unit}".rstrip())
    return f"{measurement.structure.title}: {', '.join(parts)}"


def _interval(predicted: PredictedValue, digits: int) -> str:
    return f"{predicted.value:.{digits}f} ({predicted.low:.{digits}f} to {predicted.high:.{digits}f})"
