"""Numbers and judgements → content items: NUM with its interval in its own unit (PS3.16 TID 300, 310), CODE."""

from __future__ import annotations

from highdicom.sr import (
    CodedConcept,
    ContentSequence,
    MeasurementProperties,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TextContentItem,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

_UNCERTAINTIES = ("371886008", "371885007")
"""Ranges of upper and lower measurement uncertainty."""


def measured(
    name: Code,
    value: float,
    unit: Code,
    digits: int,
    interval: tuple[float, float] | None = None,
    derivation: Code | None = None,
    method: Code | None = None,
) -> MeasurementItem:
    """Encode a number; `interval` is written as ranges below and above it.

    highdicom gives the ranges no unit (0.28.2), which is wrong for all but numbers without one.
    """
    rounded = round(value, digits)
    properties = None
    if interval is not None:
        low, high = interval
        properties = MeasurementProperties(
            upper_measurement_uncertainty=round(max(high - rounded, 0.0), digits),
            lower_measurement_uncertainty=round(max(rounded - low, 0.0), digits),
        )
    item = MeasurementItem(
        name,
        rounded,
        unit,
        derivation=derivation,
        method=method,
        properties=properties,
    )
    for part in item[0].get("ContentSequence", ()):
        if part.ConceptNameCodeSequence[0].CodeValue in _UNCERTAINTIES:
            part.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [CodedConcept.from_code(unit)]
    return item


def judged(question: Code, answer: Code, reason: str = "") -> QualitativeEvaluation:
    """Encode a coded answer; a reason follows it as a comment, for which TID 1411 and TID 1501 have no row."""
    item = QualitativeEvaluation(CodedConcept.from_code(question), CodedConcept.from_code(answer))
    if reason:
        comment = CodedConcept.from_code(codes.DCM.Comment)
        item[0].ContentSequence = ContentSequence(
            [TextContentItem(comment, reason, RelationshipTypeValues.HAS_PROPERTIES)]
        )
    return item
