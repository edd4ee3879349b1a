"""Violations, and reading of a content tree. No text of a file gets into a violation.

Unlike `highdicom.sr.utils.find_content_items`, it gives positions and reads broken trees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.sr.coding import Code

Key = tuple[str, str]
"""Value and scheme of a code; its meaning is for display only (PS3.3 8.3)."""

KNOWN_RELATIONSHIPS = frozenset(
    {
        "CONTAINS",
        "HAS OBS CONTEXT",
        "HAS ACQ CONTEXT",
        "HAS CONCEPT MOD",
        "HAS PROPERTIES",
        "INFERRED FROM",
        "SELECTED FROM",
    }
)
"""PS3.3 C.17.3.2.4; any other text is not repeated in a message."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule.

    rule
        Template or clause.
    where
        Position in the content tree (1 is the root, 1.2 its second child), or item of a sequence.
    what, do
        What is wrong, and what the writer of the object should do about it.
    """

    rule: str
    where: str
    what: str
    do: str

    def __str__(self) -> str:
        """Give the violation in one line."""
        return f"{self.rule}: {self.where}: {self.what} → {self.do}"


def key(code: Code) -> Key:
    """Give value and scheme of one of our codes."""
    return code.value, code.scheme_designator


def coded(item: Dataset, keyword: str) -> Key | None:
    """Give value and scheme of the first code in a sequence of a data set; None if there is no code."""
    items = item.get(keyword)
    if not items:
        return None
    code = items[0]
    value = code.get("CodeValue") or code.get("LongCodeValue") or code.get("URNCodeValue")
    return (str(value), str(code.get("CodingSchemeDesignator", ""))) if value else None


def name_of(item: Dataset) -> Key | None:
    """Give the concept name of a content item."""
    return coded(item, "ConceptNameCodeSequence")


def children(item: Dataset, position: str) -> Iterator[tuple[str, Dataset]]:
    """Give every child with its position."""
    for number, child in enumerate(item.get("ContentSequence", ()), start=1):
        yield f"{position}.{number}", child


def walk(item: Dataset, position: str = "1") -> Iterator[tuple[str, Dataset]]:
    """Give every item below, depth first, with its position."""
    for where, child in children(item, position):
        yield where, child
        yield from walk(child, where)


def template_of(item: Dataset) -> str:
    """Give the identifier of the template that a container names; empty if it names none."""
    templates = item.get("ContentTemplateSequence")
    return str(templates[0].get("TemplateIdentifier", "")) if templates else ""
