"""Sources of training images: synthetic heads, real ones, or both at random. One generator gives one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from lnc_dicom.segment.synthesis.config import SynthesisConfig
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.segment.synthesis.synthesise import synthesise
from lnc_dicom.segment.train.real_heads import RealHead, augment


class Source(Protocol):
    """Makes an image and its target from random numbers."""

    def make(self, rng: Rng, done: float) -> tuple[Tensor, Tensor]:
        """Make one image and its target, as `synthesise` does; `done` is the fraction of the training that is done."""


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Heads synthesised from randomly chosen label maps."""

    maps: Sequence[LabelMap]
    palette: Palette
    config: SynthesisConfig

    def make(self, rng: Rng, done: float) -> tuple[Tensor, Tensor]:
        """Synthesise a head."""
        head = self.maps[rng.integer(len(self.maps))]
        return synthesise(head, self.palette, self.config, rng, done)


@dataclass(frozen=True, slots=True)
class Real:
    """Augmented real heads, chosen at random."""

    heads: Sequence[RealHead]
    config: SynthesisConfig

    def make(self, rng: Rng, done: float) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - real heads do not change during a training
        """Augment a head."""
        return augment(self.heads[rng.integer(len(self.heads))], self.config, rng)


@dataclass(frozen=True, slots=True)
class Mixed:
    """Two sources; `share` is the probability of the first."""

    first: Source
    second: Source
    share: float

    def make(self, rng: Rng, done: float) -> tuple[Tensor, Tensor]:
        """Take one of the two."""
        return (self.first if rng.chance(self.share) else self.second).make(rng, done)
