"""What labels and network say of the same head → one label map where they agree, as large as wanted.

Labels of FreeSurfer are ragged and differ from version to version; labels warped from other heads miss what is
peculiar to a head; a network has learned from all of them. Their mean is better than each. Where structures meet, the
likeliest of several unsure guesses makes the one in the middle too large (the pallidum, between putamen and capsule):
a weight per structure, the same on both sides, brings every volume to what is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.components import largest_components

_SMOOTH_MM = 0.8
_ROUNDS = 25
_STEP = 0.7
"""How far each round goes towards the wanted volume; volumes depend on each other's weights."""


def shares(labels: npt.NDArray[np.uint8], spacing_mm: Sequence[float]) -> npt.NDArray[np.float32]:
    """Turn labels of ours (L, P, S) into smooth shares (classes, L, P, S), background first."""
    sigmas = [_SMOOTH_MM / s for s in spacing_mm]
    classes = [ndimage.gaussian_filter((labels == n).astype(np.float32), sigmas) for n in range(len(STRUCTURES) + 1)]
    return np.stack(classes)


def weights_for(
    probabilities: npt.NDArray[np.float32], wanted_ml: Mapping[str, float], spacing_mm: Sequence[float]
) -> dict[str, float]:
    """Weight of every structure with which the likeliest labels have the wanted volume (mean of left and right)."""
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


def likeliest(probabilities: npt.NDArray[np.float32], weights: Mapping[str, float]) -> npt.NDArray[np.uint8]:
    """Likeliest label (L, P, S) with these weights, one piece of each."""
    sides = _by_class(weights)
    best, labels = probabilities[0].copy(), np.zeros(probabilities.shape[1:], np.uint8)
    for n in range(1, len(probabilities)):
        weighted = probabilities[n] * sides[n]
        labels[weighted > best] = n
        np.maximum(best, weighted, out=best)
    return largest_components(labels)


def _by_class(weights: Mapping[str, float]) -> npt.NDArray[np.float32]:
    """Weights by class, background first; 1 where none is given."""
    return np.array([1.0, *(weights.get(s.name, 1.0) for s in STRUCTURES)], np.float32)
