"""Image → the same image on the intensity scale that the networks were trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_LOW_PERCENTILE, _HIGH_PERCENTILE = 1.0, 99.0
_CEILING = 1.5
"""Brighter than this is vessel, fat or artefact and carries no anatomy."""


def normalise(image: Tensor) -> Tensor:
    """Map the 1st and 99th percentile of the voxels with signal (above 0) to 0 and 1; clip at 0 and 1.5."""
    sample = image[::2, ::2, ::2].numpy()
    sample = sample[sample > 0]
    if sample.size == 0:
        return torch.zeros_like(image)
    low, high = np.percentile(sample, [_LOW_PERCENTILE, _HIGH_PERCENTILE])
    return ((image - float(low)) / max(float(high - low), 1e-6)).clamp(0, _CEILING)
