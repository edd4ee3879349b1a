"""Rows of a template and a content item → where the item breaks them: VT, relationship, number, value (PS3.16 6.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lnc_dicom.validate.content_tree import KNOWN_RELATIONSHIPS, Key, Violation, children, coded, key, name_of

_VALUE = {
    "TEXT": "TextValue",
    "UIDREF": "UID",
    "CODE": "ConceptCodeSequence",
    "NUM": "MeasuredValueSequence",
    "IMAGE": "ReferencedSOPSequence",
    "COMPOSITE": "ReferencedSOPSequence",
    "SCOORD": "GraphicData",
    "SCOORD3D": "GraphicData",
    "CONTAINER": "ContinuityOfContent",
}
"""Where the value of a content item lies (PS3.3 C.17.3); all Type 1."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a template table.

    names
        Concept names that the row takes; None: every name that no other row takes.
    values, group
        Codes that the value may be, and what that set is called; None: any.
    rows
        Rows of the children.
    """

    title: str
    value_type: str
    relationship: str
    names: frozenset[Key] | None = None
    least: int = 0
    most: int | None = 1
    values: frozenset[Key] | None = None
    group: str = ""
    rows: tuple[Row, ...] = ()


def named(code: Code, value_type: str, relationship: str, least: int = 0, most: int | None = 1) -> Row:
    """Row for one concept name."""
    return Row(code.meaning, value_type, relationship, frozenset({key(code)}), least, most)


def context_group(number: int) -> frozenset[Key]:
    """Codes of a context group of PS3.16 (pydicom's dictionaries)."""
    collection = getattr(codes, f"CID{number}")
    return frozenset(key(code) for code in collection.concepts.values())


def match(item: Dataset, rows: Sequence[Row], template: str, position: str) -> Iterator[Violation]:
    """Hold the children of an item against the rows."""
    counts: Counter[int] = Counter()
    for where, child in children(item, position):
        index = _row_of(child, rows)
        if index is None:
            yield Violation(
                template,
                where,
                f"a {_kind(child)} item with {_relationship(child)} has no row here",
                "Use the value type and relationship that the template gives this concept.",
            )
            continue
        counts[index] += 1
        yield from _check(child, rows[index], template, where)
    for index, row in enumerate(rows):
        yield from _number(row, counts[index], template, position)


def _row_of(child: Dataset, rows: Sequence[Row]) -> int | None:
    """Row that takes an item: by concept name; else, for any name, by value type and relationship."""
    name = name_of(child)
    same = [i for i, r in enumerate(rows) if r.names is not None and name in r.names]
    if same:  # a concept may come with several value types (an image region in 2D or 3D)
        return next((i for i in same if rows[i].value_type == child.get("ValueType")), same[0])
    kind = (child.get("ValueType"), child.get("RelationshipType"))
    return next((i for i, r in enumerate(rows) if r.names is None and (r.value_type, r.relationship) == kind), None)


def _check(item: Dataset, row: Row, template: str, where: str) -> Iterator[Violation]:
    """Hold one item against its row."""
    if item.get("ValueType") != row.value_type:
        what = f"{row.title} is {_kind(item)}, not {row.value_type}"
        yield Violation(template, where, what, f"Write it as {row.value_type}.")
        return
    if item.get("RelationshipType") != row.relationship:
        what = f"{row.title} has the relationship {_relationship(item)}, not {row.relationship}"
        yield Violation(template, where, what, f"Relate it to its parent by {row.relationship}.")
    keyword = _VALUE[row.value_type]
    if keyword not in item or item[keyword].value in (None, ""):
        yield Violation("PS3.3 C.17.3", where, f"{row.title} has no value", f"Write {keyword} (Type 1).")
    elif row.values is not None and coded(item, "ConceptCodeSequence") not in row.values:
        what = f"the code of {row.title} is not in {row.group}"
        yield Violation(template, where, what, f"Take a code of {row.group}.")
    yield from match(item, row.rows, template, where) if row.rows else ()


def _number(row: Row, count: int, template: str, where: str) -> Iterator[Violation]:
    """Hold the number of items against VM and requirement of a row."""
    if count < row.least:
        what = f"{row.title} is missing" if not count else f"{row.title} is there {count} times, at least {row.least}"
        yield Violation(template, where, what, f"Write {row.title} (mandatory).")
    if row.most is not None and count > row.most:
        what = f"{row.title} is there {count} times, at most {row.most}"
        yield Violation(template, where, what, f"Write {row.title} once, or open another group.")


def _kind(item: Dataset) -> str:
    value_type = str(item.get("ValueType", ""))
    return value_type if value_type in _VALUE else "a value type without row"


def _relationship(item: Dataset) -> str:
    relationship = str(item.get("RelationshipType", ""))
    return relationship if relationship in KNOWN_RELATIONSHIPS else "no known relationship"
