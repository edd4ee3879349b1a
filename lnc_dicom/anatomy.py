"""The one table of structures: label, side, code, colour, territory, and the FreeSurfer label it is trained from.

Labels are ours and never change once released: label = 2 * row + 1 for left, + 2 for right.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Side(Enum):
    """A side of the patient, never of the screen."""

    LEFT = "left"
    RIGHT = "right"


class Territory(Enum):
    """Whether the lenticulostriate arteries feed a structure (JHU arterial atlas, >= 85 % of its volume)."""

    LSA = "fed by the lenticulostriate arteries"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Structure:
    """One structure on one side.

    label
        Value in a label map; also the segment number in a SEG.
    freesurfer
        Value in FreeSurfer's aseg, from which the network is trained and against which it is measured; for the
        internal capsule, which aseg lacks, the value that `segment.internal_capsule` gives it.
    rgb
        Display colour, 8 bit (Slicer's terminology where it has one).
    plausible_ml
        Hard limits of the volume in mL: outside them the segmentation has failed, whoever the patient is.
    norm_ml, norm_sd_ml
        Population mean and SD of the volume in mL (braincharts, N about 58,830); None where none is published.
    """

    name: str
    side: Side
    label: int
    freesurfer: int
    rgb: tuple[int, int, int]
    territory: Territory
    plausible_ml: tuple[float, float]
    norm_ml: float | None = None
    norm_sd_ml: float | None = None

    @property
    def html_colour(self) -> str:
        """The colour as #rrggbb."""
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)

    @property
    def title(self) -> str:
        """What viewers print: the name with its side."""
        return f"{self.name.capitalize()}, {self.side.value}"


INTERNAL_CAPSULE_FREESURFER = (9001, 9002)
"""Left and right; numbers of ours, FreeSurfer has none."""

_NORMS = {
    ("caudate", Side.LEFT): (3.470, 0.534),
    ("caudate", Side.RIGHT): (3.603, 0.554),
    ("putamen", Side.LEFT): (4.842, 0.716),
    ("putamen", Side.RIGHT): (4.870, 0.689),
    ("pallidum", Side.LEFT): (1.996, 0.287),
    ("pallidum", Side.RIGHT): (1.942, 0.265),
    ("thalamus", Side.LEFT): (7.374, 1.115),
    ("thalamus", Side.RIGHT): (7.168, 1.032),
}

_ROWS = (
    # name, FreeSurfer left, FreeSurfer right, colour, territory, plausible volume in mL
    ("caudate", 11, 50, (30, 111, 85), Territory.LSA, (1.2, 7.5)),
    ("putamen", 12, 51, (210, 157, 166), Territory.LSA, (1.8, 10.0)),
    ("pallidum", 13, 52, (48, 129, 126), Territory.LSA, (0.6, 4.5)),
    ("thalamus", 10, 49, (122, 101, 38), Territory.CONTROL, (3.0, 14.0)),
    ("accumbens", 26, 58, (155, 108, 174), Territory.CONTROL, (0.1, 1.6)),
    ("lateral ventricle", 4, 43, (88, 106, 215), Territory.CONTROL, (0.8, 150.0)),
    ("internal capsule", *INTERNAL_CAPSULE_FREESURFER, (231, 212, 94), Territory.LSA, (1.5, 14.0)),
)


def _table() -> tuple[Structure, ...]:
    rows = []
    for row, (name, left, right, rgb, territory, plausible) in enumerate(_ROWS):
        for offset, side, freesurfer in ((1, Side.LEFT, left), (2, Side.RIGHT, right)):
            norm = _NORMS.get((name, side), (None, None))
            rows.append(Structure(name, side, 2 * row + offset, freesurfer, rgb, territory, plausible, *norm))
    return tuple(rows)


STRUCTURES: tuple[Structure, ...] = _table()
"""All structures, ordered by label."""

MAIN_NUCLEI = ("caudate", "putamen", "pallidum", "thalamus")
"""Large enough that a head without them was not segmented."""

DEEP_GREY: tuple[Structure, ...] = tuple(s for s in STRUCTURES if s.name in (*MAIN_NUCLEI, "accumbens"))
"""The nuclei and the thalami: what the first, coarse stage looks for."""

MIRRORED_LABELS: tuple[int, ...] = (0, *(s.label + (1 if s.side is Side.LEFT else -1) for s in STRUCTURES))
"""By label: the label of the same structure on the other side; what a mirrored head is called."""
