"""Numbers, evaluations and structures → content items of measurement groups (PS3.16 TID 300, 310)."""

from __future__ import annotations

from highdicom.sr import (
    CodedConcept,
    ContentSequence,
    FindingSite,
    MeasurementProperties,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TextContentItem,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lnc_dicom.anatomy import Structure
from lnc_dicom.codes import LATERALITY, STRUCTURE

_UNCERTAINTIES = ("371886008", "371885007")
"""Codes of the ranges of upper and lower measurement uncertainty."""


def number_item(
    name: Code,
    value: float,
    unit: Code,
    digits: int,
    interval: tuple[float, float] | None = None,
    derivation: Code | None = None,
    method: Code | None = None,
) -> MeasurementItem:
    """Encode a number as NUM, rounded to `digits` decimals.

    interval
        Low and high end, in the same unit; written as ranges of uncertainty below and above the number (TID 310).
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
    for part in item[0].get("ContentSequence", ()):  # highdicom 0.28.2 writes ranges in the unit "1"
        if part.ConceptNameCodeSequence[0].CodeValue in _UNCERTAINTIES:
            part.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [CodedConcept.from_code(unit)]
    return item


def evaluation_item(question: Code, answer: Code, reason: str = "") -> QualitativeEvaluation:
    """Encode a coded answer to a coded question; the reason, if any, is a comment below it.

    TID 1411 and TID 1501 have no row for the comment, but are extensible.
    """
    item = QualitativeEvaluation(CodedConcept.from_code(question), CodedConcept.from_code(answer))
    if reason:
        comment = CodedConcept.from_code(codes.DCM.Comment)
        item[0].ContentSequence = ContentSequence(
            [TextContentItem(comment, reason, RelationshipTypeValues.HAS_PROPERTIES)]
        )
    return item


def site_of(structure: Structure) -> FindingSite:
    """Name a structure as finding site; its side is a modifier."""
    return FindingSite(STRUCTURE[structure.name], laterality=LATERALITY[structure.side])
