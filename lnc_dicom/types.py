"""The nouns: frozen values that the stages hand to each other.

The volume is `highdicom.Volume`: array axes are (slice, row, column) of the source, its affine maps an index to
LPS millimetres. It is never changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
from highdicom import Volume
from pydicom import Dataset

from lnc_dicom.anatomy import Structure


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM object on disk; `header` holds its attributes without pixels."""

    path: Path = field(repr=False)
    header: Dataset = field(repr=False)


@dataclass(frozen=True, slots=True)
class Series:
    """The instances of one series, ordered by SOP Instance UID so that file names do not matter."""

    uid: str = field(repr=False)
    instances: tuple[Instance, ...] = field(repr=False)

    @property
    def header(self) -> Dataset:
        """Attributes of the first instance."""
        return self.instances[0].header


@dataclass(frozen=True, slots=True)
class Caveat:
    """Something a reader of the results must know; not an error."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Study:
    """The series of one study, and what was wrong with files that could not be used."""

    uid: str = field(repr=False)
    series: tuple[Series, ...]
    caveats: tuple[Caveat, ...] = ()


class Reason(Enum):
    """Why a series was not used; the value is what the user reads."""

    NOT_MR = "not an MR image"
    TOO_FEW_SLICES = "too few slices for a head"
    DERIVED = "derived, not acquired"
    LOCALISER = "a localiser"
    DIFFUSION = "diffusion"
    PERFUSION = "perfusion"
    ANGIOGRAPHY = "angiography"
    NOT_MAGNITUDE = "not a magnitude image"
    NOT_T1 = "not T1-weighted"
    OTHER_BODY_PART = "another part of the body"
    OTHER_PLANE_SET = "images of different size or orientation in one series"
    COARSER = "another T1-weighted series has smaller voxels"
    CONTRAST_GIVEN = "contrast agent given; another T1-weighted series is without"
    SMALLER_COVER = "another T1-weighted series covers more"
    LATER = "as good as the chosen T1-weighted series, but acquired later"


@dataclass(frozen=True, slots=True)
class Selection:
    """The series to use, and every other one with the reason why not."""

    chosen: Series
    passed_over: tuple[tuple[Series, Reason], ...]


class Quality(Enum):
    """Whether a structure's number may be used."""

    PASSED = "passed"
    NOT_FOUND = "not found"
    IMPLAUSIBLE = "volume outside the plausible range"
    CUT = "cut by the edge of the images"
    UNSURE = "the network is not sure of it"


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """Labels of `anatomy.STRUCTURES` on the grid of the source volume.

    labels
        uint8 Volume, axes (slice, row, column).
    probability
        Mean probability that the network gave to the voxels of each label; absent where a label has none.
    brain_is_cut
        Whether the edge of the images cuts the brain.
    """

    labels: Volume = field(repr=False)
    probability: dict[int, float]
    brain_is_cut: bool = False

    def __post_init__(self) -> None:
        """Check the type of the labels and make them read-only."""
        if self.labels.array.dtype != np.uint8:
            raise TypeError("labels must be uint8")
        self.labels.array.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured in one structure. `volume_ml` counts whole voxels."""

    structure: Structure
    voxels: int
    volume_ml: float
    quality: Quality


@dataclass(frozen=True, slots=True)
class Model:
    """What a result was made with."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything found in one study, before it becomes DICOM.

    sources
        Headers of the chosen series, without pixels, in any order.
    volume
        The chosen series as float32 Volume.
    """

    study: Study
    selection: Selection
    sources: Sequence[Dataset] = field(repr=False)
    volume: Volume = field(repr=False)
    segmented: Segmented
    measurements: tuple[Measurement, ...]
    caveats: tuple[Caveat, ...]
    model: Model


class Segmenter(Protocol):
    """Turns a volume into labels on the same grid."""

    @property
    def model(self) -> Model:
        """What the labels are made with."""
        ...

    def __call__(self, volume: Volume, /) -> Segmented:
        """Label a volume."""
        ...


@contextmanager
def _silent(_stage: str) -> Iterator[None]:
    yield


@dataclass(frozen=True, slots=True)
class Tools:
    """What the stages need from outside: the network, the time, and someone who watches.

    now
        The time written into the results; timezone-aware. The same study, model and time give the same bytes.
    stage
        Wrapped around every stage with its name: progress bar and stopwatch live there.
    """

    segmenter: Segmenter
    now: datetime
    stage: Callable[[str], AbstractContextManager[None]] = _silent
