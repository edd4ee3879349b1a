"""Attribute of a header → its values, or none where they are missing or not valid.

pydicom converts a value when it is read for the first time and raises then; headers hold words, decimal commas and
empty sequences. Whoever reads an attribute of an image reads it here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pydicom import Dataset
from pydicom.errors import BytesLengthException
from pydicom.sequence import Sequence as Items

NOT_CONVERTED = (
    *(ValueError, TypeError, LookupError, AttributeError, NotImplementedError, ArithmeticError, OSError, EOFError),
    BytesLengthException,
)
"""What pydicom raises for values that do not fit their VR."""


def items_of(dataset: Dataset, name: str) -> Sequence[Dataset]:
    """Give the items of a sequence; none where it is missing or no sequence."""
    found = readable(dataset, name)
    return tuple(found) if isinstance(found, Items) else ()


def item(dataset: Dataset, name: str) -> Dataset:
    """Give the first item of a sequence, or an empty dataset."""
    return next(iter(items_of(dataset, name)), Dataset())


def texts(dataset: Dataset, name: str) -> tuple[str, ...]:
    """Give the values of an attribute as text, without padding; none where it is missing, empty or not valid."""
    try:
        found = tuple(str(value).strip(" \0") for value in _values(dataset, name))
    except NOT_CONVERTED:
        return ()
    return found if any(found) else ()


def text(dataset: Dataset, name: str) -> str:
    """Give the first value of an attribute as text; "" without one."""
    return next(iter(texts(dataset, name)), "")


def element_text(dataset: Dataset, tag: int) -> str:
    """Give the value of an element, also a private one, as text; "" where it is absent or not valid."""
    try:
        value = dataset[tag].value if tag in dataset else ""
    except NOT_CONVERTED:
        return ""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value or "")


def numbers(dataset: Dataset, name: str, count: int | None = None) -> tuple[float, ...]:
    """Give the values of an attribute as numbers; none unless all are finite and, where asked for, of this count."""
    try:
        found = tuple(float(value) for value in _values(dataset, name))  # type: ignore[arg-type]  # TypeError is caught
    except NOT_CONVERTED:
        return ()
    sound = all(map(math.isfinite, found)) and count in {None, len(found)}
    return found if sound else ()


def number(dataset: Dataset, name: str) -> float | None:
    """Give the first value of an attribute as number; None where it is missing or not valid."""
    return next(iter(numbers(dataset, name)), None)


def readable(dataset: Dataset, name: str) -> object:
    """Give the value as pydicom converts it; None where it is missing or cannot be converted."""
    try:
        return dataset.get(name)
    except NOT_CONVERTED:
        return None


def _values(dataset: Dataset, name: str) -> Iterable[object]:
    found = readable(dataset, name)
    if found is None or isinstance(found, (bytes, Items)):
        return ()
    return found if isinstance(found, Sequence) and not isinstance(found, str) else (found,)
