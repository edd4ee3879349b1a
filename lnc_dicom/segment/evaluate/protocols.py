"""Who drew the labels → which of their numbers are which of our structures.

Experts and programs number, merge and leave out structures as they like: MAGeT's striatum is caudate, putamen and
accumbens in one; Xiao's pallidum is two. A region is what can be compared: some of our labels beside some of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.errors import UnusableInput


class Protocol(StrEnum):
    """Whose labels a label map holds."""

    FREESURFER = "freesurfer"
    MAGE = "mage"
    XIAO = "xiao"
    JHU = "jhu"


@dataclass(frozen=True, slots=True)
class Region:
    """One comparable part on one side: `ours` and `theirs` are the labels that make it up."""

    name: str
    side: Side
    ours: tuple[int, ...]
    theirs: tuple[int, ...]


_MAGE: Mapping[str, tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]] = {
    "striatum": (("caudate", "putamen", "accumbens"), (1,), (4,)),
    "pallidum": (("pallidum",), (2,), (5,)),
    "thalamus": (("thalamus",), (3,), (6,)),
}
"""MAGeT-Brain atlas of five manual brains (CoBrALab/atlases): name → ours, theirs left, theirs right."""
_XIAO: Mapping[str, tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]] = {
    "caudate": (("caudate",), (7,), (8,)),
    "putamen": (("putamen",), (9,), (10,)),
    "pallidum": (("pallidum",), (11, 13), (12, 14)),
    "thalamus": (("thalamus",), (15,), (16,)),
    "accumbens": (("accumbens",), (19,), (20,)),
}
"""Xiao et al., Sci Data 2019 (doi 10.1038/s41597-019-0217-0)."""
_JHU = ("caudate", "putamen", "pallidum", "thalamus", "internal capsule")
"""Eve (Oishi et al.), given with FreeSurfer's numbers and ours for the capsule."""


def protocol_of(name: str) -> Protocol:
    """Find a protocol by its name. Raises UnusableInput."""
    try:
        return Protocol(name.lower())
    except ValueError:
        raise UnusableInput(f"no protocol is called {name!r}; there are {', '.join(Protocol)}") from None


def regions(protocol: Protocol) -> tuple[Region, ...]:
    """All regions that labels of this protocol can be compared in; left before right."""
    if protocol in (Protocol.FREESURFER, Protocol.JHU):
        return tuple(
            Region(s.name, s.side, (s.label,), (s.freesurfer,))
            for s in STRUCTURES
            if protocol is Protocol.FREESURFER or s.name in _JHU
        )
    table = _MAGE if protocol is Protocol.MAGE else _XIAO
    return tuple(
        Region(name, side, tuple(s.label for s in STRUCTURES if s.name in parts and s.side is side), theirs)
        for name, (parts, left, right) in table.items()
        for side, theirs in ((Side.LEFT, left), (Side.RIGHT, right))
    )
