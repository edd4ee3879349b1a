"""Relationships and continuity that highdicom (0.28.2) writes otherwise than templates and readers want them."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

_GROUP = "125007"
_METHOD = "370129005"


def relate_methods(document: Dataset) -> None:
    """Make the method of a measurement group a modifier (TID 1419 row 1, TID 1501): HAS CONCEPT MOD, not CONTAINS."""
    for group in _containers(document):
        if _name(group) == _GROUP:
            for item in group.ContentSequence:
                if _name(item) == _METHOD:
                    item.RelationshipType = "HAS CONCEPT MOD"


def separate(document: Dataset) -> None:
    """Make every container a list of items, not a running text (PS3.3 C.17.3.2.2).

    highdicom writes CONTINUOUS, and readers then print numbers without their names.
    """
    document.ContinuityOfContent = "SEPARATE"
    for container in _containers(document):
        container.ContinuityOfContent = "SEPARATE"


def _containers(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        if child.ValueType == "CONTAINER":
            yield child
            yield from _containers(child)


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else ""
