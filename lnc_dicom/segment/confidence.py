"""Class probabilities → how sure the network is of each label."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def likeliest(probabilities: Tensor) -> Tensor:
    """Likeliest label (L, P, S) of (classes, L, P, S); the classes are compared only where background is below half."""
    labels = torch.zeros(probabilities.shape[1:], dtype=torch.long)
    maybe = probabilities[0] < 0.5  # noqa: PLR2004 - with half the probability, background wins
    labels[maybe] = probabilities[:, maybe].argmax(0)
    return labels


def mirror_dice(plain: Tensor, mirrored: Tensor) -> dict[int, float]:
    """Dice by label between the likeliest labels of two probability maps (classes, L, P, S)."""
    a, b = (likeliest(p).flatten() for p in (plain, mirrored))
    classes = len(plain)
    sizes = torch.bincount(a, minlength=classes) + torch.bincount(b, minlength=classes)
    both = torch.bincount(a[a == b], minlength=classes)
    return {n: 2 * int(both[n]) / int(sizes[n]) for n in range(1, classes) if sizes[n]}


def entropy_and_spread(probabilities: Tensor) -> tuple[dict[int, float], dict[int, float]]:
    """By label: mean entropy in bits over the voxels where it is likeliest; sum of p (1 - p) over the sum of p."""
    classes = len(probabilities)
    uncertain = probabilities[0] < 0.999  # noqa: PLR2004 - the rest adds nothing to either sum
    p = probabilities[:, uncertain]
    entropy = -(p * p.clamp(min=1e-9).log()).sum(0) / math.log(2)
    label = p.argmax(0).numpy()
    counts = np.bincount(label, minlength=classes)
    sums = np.bincount(label, entropy.numpy(), classes)
    spread = ((p * (1 - p)).sum(1) / p.sum(1).clamp(min=1e-6)).tolist()
    return {n: float(sums[n] / counts[n]) for n in range(classes) if counts[n]}, dict(enumerate(spread))
