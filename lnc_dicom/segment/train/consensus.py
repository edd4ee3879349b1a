"""Labels and probabilities of a network for the same head → one consensus label map with the wanted volumes.

FreeSurfer labels are ragged and differ between versions; labels warped from other heads miss individual features; a
network averages over all of them. The mean of both is better than either. Where structures meet, the argmax of
uncertain probabilities makes the one in the middle too large (the pallidum, between putamen and capsule): a weight per
structure, the same on both sides, brings every volume to its target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.components import largest_component_per_label

_SMOOTH_MM = 0.8
_ROUNDS = 25
_STEP = 0.7
"""Exponent of each update: below 1 because the volumes depend on the weights of their neighbours."""


def soft_labels(labels: npt.NDArray[np.uint8], spacing_mm: Sequence[float]) -> npt.NDArray[np.float32]:
    """Smooth our labels (L, P, S) into probabilities (classes, L, P, S), background first."""
    sigmas = [_SMOOTH_MM / s for s in spacing_mm]
    classes = [ndimage.gaussian_filter((labels == n).astype(np.float32), sigmas) for n in range(len(STRUCTURES) + 1)]
    return np.stack(classes)


def volume_weights(
    probabilities: npt.NDArray[np.float32], wanted_ml: Mapping[str, float], spacing_mm: Sequence[float]
) -> dict[str, float]:
    """Weight of every structure with which `weighted_argmax` gives the wanted volume (mean of left and right)."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    somewhere = probabilities[0] < 0.98  # noqa: PLR2004 - elsewhere nothing else can win
    part = probabilities[:, somewhere]
    weights = dict.fromkeys(wanted_ml, 1.0)
    for _ in range(_ROUNDS):
        counts = np.bincount((part * _by_class(weights)[:, None]).argmax(0), minlength=len(part))
        for name, wanted in wanted_ml.items():
            found = float(np.mean([counts[s.label] for s in STRUCTURES if s.name == name])) * voxel_ml
            weights[name] *= float(np.clip((wanted / max(found, 1e-3)) ** _STEP, 0.7, 1.4))
    return weights


def weighted_argmax(probabilities: npt.NDArray[np.float32], weights: Mapping[str, float]) -> npt.NDArray[np.uint8]:
    """Most probable label (L, P, S) with these weights; the largest component of each."""
    sides = _by_class(weights)
    best, labels = probabilities[0].copy(), np.zeros(probabilities.shape[1:], np.uint8)
    for n in range(1, len(probabilities)):
        weighted = probabilities[n] * sides[n]
        labels[weighted > best] = n
        np.maximum(best, weighted, out=best)
    return largest_component_per_label(labels)


def _by_class(weights: Mapping[str, float]) -> npt.NDArray[np.float32]:
    """Weights by class, background first; 1 where none is given."""
    return np.array([1.0, *(weights.get(s.name, 1.0) for s in STRUCTURES)], np.float32)
