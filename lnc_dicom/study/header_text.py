"""Text of a header → values and words that can be compared: one value or many, any case, accent and separator."""

from __future__ import annotations

import re
import unicodedata

from pydicom import Dataset

from lnc_dicom.study.values import texts


def values_of(header: Dataset, name: str) -> tuple[str, ...]:
    """Give the values of an attribute, in capitals: of one value one, of an absent or unreadable attribute none."""
    return tuple(value for text in texts(header, name) if (value := text.strip().upper()))


def plain(text: str) -> str:
    """Write a text in lower case, without accents, its underscores as spaces."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold().replace("_", " ")


def plain_text(header: Dataset, *names: str) -> str:
    """Join the values of attributes to one plain text."""
    return plain(" ".join(value for name in names for value in values_of(header, name)))


def words_of(text: str) -> frozenset[str]:
    """Give the words of a plain text: letters and digits of any script."""
    return frozenset(re.findall(r"\w+", text))
