"""What a rule says where it is broken, and how a content tree is read. No text of a file gets into a violation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.sr.coding import Code

Key = tuple[str, str]
"""Value and scheme of a code; its meaning is for people only (PS3.3 8.3)."""

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
"""PS3.3 C.17.3.2.4; anything else in a file is not repeated in a message."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule.

    rule
        Template or clause.
    where
        Place in the object: position in the content tree (PS3.16: 1 is the root) or item of a sequence.
    what, do
        What is wrong, and what the writer of the object does about it.
    """

    rule: str
    where: str
    what: str
    do: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.rule}: {self.where}: {self.what} → {self.do}"


def key(code: Code) -> Key:
    """Value and scheme of one of our codes."""
    return code.value, code.scheme_designator


def coded(item: Dataset, keyword: str) -> Key | None:
    """Value and scheme of the code in a sequence of a data set; None where there is none."""
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
    """Every child with its position."""
    for number, child in enumerate(item.get("ContentSequence", ()), start=1):
        yield f"{position}.{number}", child


def walk(item: Dataset, position: str = "1") -> Iterator[tuple[str, Dataset]]:
    """Every item below, with its position."""
    for where, child in children(item, position):
        yield where, child
        yield from walk(child, where)


def template_of(item: Dataset) -> str:
    """Give the identifier of the template that a container names; empty where it names none."""
    templates = item.get("ContentTemplateSequence")
    return str(templates[0].get("TemplateIdentifier", "")) if templates else ""
