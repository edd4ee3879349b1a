"""Relationships and continuity that highdicom (0.28.2) does not write as templates and readers need them."""

from __future__ import annotations

from highdicom.sr import RelationshipTypeValues, ValueTypeValues
from highdicom.sr.utils import find_content_items
from pydicom import Dataset
from pydicom.sr.codedict import codes


def relate_methods(document: Dataset) -> None:
    """Make the method of a measurement group a modifier (TID 1419 row 1, TID 1501): HAS CONCEPT MOD, not CONTAINS."""
    for group in find_content_items(document, name=codes.DCM.MeasurementGroup, recursive=True):
        for method in find_content_items(group, name=codes.SCT.MeasurementMethod):
            method.RelationshipType = RelationshipTypeValues.HAS_CONCEPT_MOD.value


def separate(document: Dataset) -> None:
    """Make every container a list of items, not a running text (PS3.3 C.17.3.2.2).

    highdicom writes CONTINUOUS, and readers then print numbers without their names.
    """
    document.ContinuityOfContent = "SEPARATE"
    for container in find_content_items(document, value_type=ValueTypeValues.CONTAINER, recursive=True):
        container.ContinuityOfContent = "SEPARATE"
