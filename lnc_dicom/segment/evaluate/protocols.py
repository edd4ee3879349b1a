"""Protocol of a label map → the regions in which it can be compared with ours.

Protocols number, merge and omit structures differently: the striatum of MAGeT is caudate, putamen and accumbens in
one; Xiao has two labels for the pallidum. A region is the union of some of our labels and the union of the matching
labels of the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.errors import UnusableInput


class LabelProtocol(StrEnum):
    """Where the labels of a label map come from."""

    FREESURFER = "freesurfer"
    MAGE = "mage"
    XIAO = "xiao"
    JHU = "jhu"


@dataclass(frozen=True, slots=True)
class Region:
    """One region on one side: our labels and those of the protocol that make it up."""

    name: str
    side: Side
    ours: tuple[int, ...]
    theirs: tuple[int, ...]


_MAGE: Mapping[str, tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]] = {
    "striatum": (("caudate", "putamen", "accumbens"), (1,), (4,)),
    "pallidum": (("pallidum",), (2,), (5,)),
    "thalamus": (("thalamus",), (3,), (6,)),
}
"""MAGeT-Brain atlas of five manual brains (CoBrALab/atlases): name → our structures, their labels left, right."""
_XIAO: Mapping[str, tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]] = {
    "caudate": (("caudate",), (7,), (8,)),
    "putamen": (("putamen",), (9,), (10,)),
    "pallidum": (("pallidum",), (11, 13), (12, 14)),
    "thalamus": (("thalamus",), (15,), (16,)),
    "accumbens": (("accumbens",), (19,), (20,)),
}
"""Xiao et al., Sci Data 2019 (doi 10.1038/s41597-019-0217-0)."""
_JHU = ("caudate", "putamen", "pallidum", "thalamus", "internal capsule")
"""Eve (Oishi et al.), with FreeSurfer label numbers and our two for the internal capsule."""


def label_protocol(name: str) -> LabelProtocol:
    """Find a protocol by its name. Raises UnusableInput."""
    try:
        return LabelProtocol(name.lower())
    except ValueError:
        raise UnusableInput(f"no protocol is called {name!r}; there are {', '.join(LabelProtocol)}") from None


def regions(protocol: LabelProtocol) -> tuple[Region, ...]:
    """Regions in which labels of this protocol can be compared, left before right."""
    if protocol in (LabelProtocol.FREESURFER, LabelProtocol.JHU):
        return tuple(
            Region(s.name, s.side, (s.label,), (s.freesurfer,))
            for s in STRUCTURES
            if protocol is LabelProtocol.FREESURFER or s.name in _JHU
        )
    table = _MAGE if protocol is LabelProtocol.MAGE else _XIAO
    return tuple(
        Region(name, side, tuple(s.label for s in STRUCTURES if s.name in parts and s.side is side), theirs)
        for name, (parts, left, right) in table.items()
        for side, theirs in ((Side.LEFT, left), (Side.RIGHT, right))
    )
