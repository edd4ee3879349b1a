"""Seed → random numbers and smooth random fields; the same seed gives the same head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


class Rng:
    """Random numbers from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float) -> float:
        """One number, evenly between low and high."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.uniform(0, 1) < probability

    def integer(self, high: int) -> int:
        """One of 0 … high - 1."""
        return int(torch.randint(high, (), generator=self.generator))

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers."""
        return torch.randn(shape, generator=self.generator)

    def smooth(self, shape: Sequence[int], knots: int, channels: int = 1) -> Tensor:
        """Draw a field (1, channels, *shape) that is normal at knots³ points and linear between them."""
        field = self.normal(1, channels, knots, knots, knots)
        return functional.interpolate(field, size=tuple(shape), mode="trilinear", align_corners=True)
