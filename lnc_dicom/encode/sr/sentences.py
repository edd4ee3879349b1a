"""Report → one sentence per structure and caveat, for the text report; nothing that is predicted."""

from __future__ import annotations

from lnc_dicom.encode.number_text import mean_text
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.report import Report, failure_text
from lnc_dicom.types import Measurement


def measured_sentences(report: Report) -> list[str]:
    """Give volume, its interval and the means of the maps for every structure, or why the structure failed."""
    return [_measured(measurement) for measurement in report.measurements]


def caveat_sentences(report: Report) -> list[str]:
    """Give the caveats whose text is ours; any other could name the patient."""
    return [f"{caveat.code} {caveat.text}" for caveat in report.caveats if caveat.is_our_text]


def _measured(measurement: Measurement) -> str:
    if not measurement.passed:
        return failure_text(measurement)
    parts = [f"volume {measurement.volume_ml:.2f} mL"]
    if measurement.interval_ml is not None:
        low, high = measurement.interval_ml
        parts[0] += f" (90 % interval {low:.2f} to {high:.2f})"
    for quantity in (q for q in Quantity if q in measurement.statistics):
        properties = QUANTITIES[quantity]
        parts.append(f"{properties.name} {mean_text(measurement, quantity)} {properties.unit_text}".rstrip())
    return f"{measurement.structure.title}: {', '.join(parts)}"
