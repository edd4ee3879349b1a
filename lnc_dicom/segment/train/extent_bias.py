"""A trained label network + real heads → a bias per structure with which its volumes are those of the labels.

Where structures meet, the likeliest of several unsure guesses makes the one in the middle too large: the pallidum,
between putamen and capsule, by half. A weight on a structure's probability mends it. It is the same on both sides, and
as a bias of the last layer it costs no time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import highdicom as hd
import numpy as np
import numpy.typing as npt
import torch

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.network import UNet
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.segment.train.real_heads import RealHead

_ROUNDS = 5
_GAIN = 1.5
"""A weight of 1 % more makes a volume about half a per cent larger."""
_LONGEST = 0.5
"""Largest change of a bias in one round."""


def set_extent(
    segmenter: NetworkSegmenter, heads: Sequence[RealHead], tell: Callable[[Mapping[str, float]], None]
) -> dict[str, float]:
    """Make every structure as large, in the mean of the heads, as their labels are; return the weights given.

    Changes the segmenter's label network in place. `tell` hears, before every round, how much larger than the labels
    each structure is.
    """
    truths = [_volumes(np.asarray(head.codes), head.spacing_mm) for head in heads]
    weights = dict.fromkeys((s.name for s in STRUCTURES), 1.0)
    for _ in range(_ROUNDS):
        found = [_volumes(segmenter(_volume(head)).labels.array, head.spacing_mm) for head in heads]
        for name in weights:
            ratios = [math.log(t[name] / max(f[name], 1e-3)) for t, f in zip(truths, found, strict=True)]
            step = float(np.clip(_GAIN * np.mean(ratios), -_LONGEST, _LONGEST))
            weights[name] *= math.exp(step)
            add_bias(segmenter.label, name, step)
        tell(_off(truths, found))
    return weights


def _off(truths: Sequence[Mapping[str, float]], found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Relative error of the volume, mean of the heads."""
    names = truths[0]
    return {n: float(np.mean([f[n] / t[n] - 1 for t, f in zip(truths, found, strict=True)])) for n in names}


def add_bias(network: UNet, name: str, step: float) -> None:
    """Add to the last layer's bias of a structure, left and right, in place."""
    with torch.no_grad():
        network.get_parameter("last.bias")[[s.label for s in STRUCTURES if s.name == name]] += step


def _volume(head: RealHead) -> hd.Volume:
    """Image of a head as a volume whose index runs along the patient's axes."""
    affine = np.diag([*head.spacing_mm, 1.0])
    return hd.Volume(head.image.astype(np.float32), affine, coordinate_system="PATIENT")


def _volumes(labels: npt.NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> Mapping[str, float]:
    """Volume in mL per structure, mean of left and right."""
    counts = np.bincount(labels.ravel(), minlength=len(STRUCTURES) + 1) * float(np.prod(spacing_mm)) / 1000
    names = dict.fromkeys(s.name for s in STRUCTURES)
    return {name: float(np.mean([counts[s.label] for s in STRUCTURES if s.name == name])) for name in names}
