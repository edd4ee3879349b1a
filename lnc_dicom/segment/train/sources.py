"""Where training images come from: synthetic heads, real ones, or both by turns. One draw, one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from lnc_dicom.segment.synthesis.config import Recipe
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette
from lnc_dicom.segment.synthesis.rng import Draw
from lnc_dicom.segment.synthesis.synthesise import synthesise
from lnc_dicom.segment.train.real_heads import RealHead, picture


class Source(Protocol):
    """Anything that makes an image and its target from random numbers."""

    def make(self, draw: Draw, done: float) -> tuple[Tensor, Tensor]:
        """Make one image and its target, as `synthesise` does; `done` is the part of the training behind (0 to 1)."""


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Heads synthesised from label maps, which are taken at random."""

    maps: Sequence[LabelMap]
    palette: Palette
    recipe: Recipe

    def make(self, draw: Draw, done: float) -> tuple[Tensor, Tensor]:
        """Synthesise a head."""
        head = self.maps[draw.integer(len(self.maps))]
        return synthesise(head, self.palette, self.recipe, draw, done)


@dataclass(frozen=True, slots=True)
class Real:
    """Scanned heads, taken at random."""

    heads: Sequence[RealHead]
    recipe: Recipe

    def make(self, draw: Draw, done: float) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - real heads stay as they are
        """Show a head anew."""
        return picture(self.heads[draw.integer(len(self.heads))], self.recipe, draw)


@dataclass(frozen=True, slots=True)
class Mixed:
    """Two sources; `share` is how often the first is asked."""

    first: Source
    second: Source
    share: float

    def make(self, draw: Draw, done: float) -> tuple[Tensor, Tensor]:
        """Ask one of the two."""
        return (self.first if draw.chance(self.share) else self.second).make(draw, done)
