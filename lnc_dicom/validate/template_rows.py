"""Rows of a template and a content item → where its children break the rows (PS3.16 6.1).

Value type, relationship, multiplicity and value are checked.
"""

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
"""Attribute that holds the value of a content item, by value type (PS3.3 C.17.3); all Type 1."""


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """One row of a template table.

    names
        Concept names that the row is for; None: every name that no other row is for.
    minimum, maximum
        How many items there may be (value multiplicity and requirement type); no maximum: None.
    values, values_name
        Codes that the value may have, and the name of that set; None: any code.
    children
        Rows for the children of the item; empty: they are not checked.
    """

    title: str
    value_type: str
    relationship: str
    names: frozenset[Key] | None = None
    minimum: int = 0
    maximum: int | None = 1
    values: frozenset[Key] | None = None
    values_name: str = ""
    children: tuple[TemplateRow, ...] = ()


def row_for(code: Code, value_type: str, relationship: str, minimum: int = 0, maximum: int | None = 1) -> TemplateRow:
    """Give the row for one concept name."""
    return TemplateRow(code.meaning, value_type, relationship, frozenset({key(code)}), minimum, maximum)


def context_group(number: int) -> frozenset[Key]:
    """Give the codes of a context group of PS3.16 (pydicom's dictionaries)."""
    collection = getattr(codes, f"CID{number}")
    return frozenset(key(code) for code in collection.concepts.values())


def check_children(item: Dataset, rows: Sequence[TemplateRow], template: str, position: str) -> Iterator[Violation]:
    """Check the children of an item against the rows of its template."""
    counts: Counter[int] = Counter()
    for where, child in children(item, position):
        index = _row_of(child, rows)
        if index is None:
            yield Violation(
                template,
                where,
                f"no row for {_value_type(child)} with the relationship {_relationship(child)}",
                "Use the value type and relationship that the template gives this concept.",
            )
            continue
        counts[index] += 1
        yield from _check(child, rows[index], template, where)
    for index, row in enumerate(rows):
        yield from _number(row, counts[index], template, position)


def _row_of(child: Dataset, rows: Sequence[TemplateRow]) -> int | None:
    """Find the row for an item: by its concept name, else an open row by value type and relationship."""
    name = name_of(child)
    same = [i for i, r in enumerate(rows) if r.names is not None and name in r.names]
    if same:  # one concept may have several value types (an image region in 2D or 3D)
        return next((i for i in same if rows[i].value_type == child.get("ValueType")), same[0])
    kind = (child.get("ValueType"), child.get("RelationshipType"))
    return next((i for i, r in enumerate(rows) if r.names is None and (r.value_type, r.relationship) == kind), None)


def _check(item: Dataset, row: TemplateRow, template: str, where: str) -> Iterator[Violation]:
    """Check one item against its row."""
    if item.get("ValueType") != row.value_type:
        what = f"{row.title} is {_value_type(item)}, not {row.value_type}"
        yield Violation(template, where, what, f"Write it as {row.value_type}.")
        return
    if item.get("RelationshipType") != row.relationship:
        what = f"{row.title} has the relationship {_relationship(item)}, not {row.relationship}"
        yield Violation(template, where, what, f"Relate it to its parent by {row.relationship}.")
    keyword = _VALUE[row.value_type]
    if keyword not in item or item[keyword].value in (None, ""):
        yield Violation("PS3.3 C.17.3", where, f"{row.title} has no value", f"Write {keyword} (Type 1).")
    elif row.values is not None and coded(item, "ConceptCodeSequence") not in row.values:
        what = f"the code of {row.title} is not in {row.values_name}"
        yield Violation(template, where, what, f"Take a code of {row.values_name}.")
    yield from check_children(item, row.children, template, where) if row.children else ()


def _number(row: TemplateRow, count: int, template: str, where: str) -> Iterator[Violation]:
    """Check how many items there are for a row."""
    if count < row.minimum:
        what = f"{row.title} is missing" if not count else f"{row.title} occurs {count} times, at least {row.minimum}"
        yield Violation(template, where, what, f"Write {row.title} (mandatory).")
    if row.maximum is not None and count > row.maximum:
        what = f"{row.title} occurs {count} times, at most {row.maximum}"
        yield Violation(template, where, what, f"Write {row.title} once, or open another group.")


def _value_type(item: Dataset) -> str:
    value_type = str(item.get("ValueType", ""))
    return value_type if value_type in _VALUE else "an unknown value type"


def _relationship(item: Dataset) -> str:
    relationship = str(item.get("RelationshipType", ""))
    return relationship if relationship in KNOWN_RELATIONSHIPS else "unknown"
