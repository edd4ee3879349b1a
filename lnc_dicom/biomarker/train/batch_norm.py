"""Batch normalisation for inference: its statistics measured anew, on crops and with weights as they are.

The running means that training leaves lag behind the weights and belong to augmented crops; with them the predictions
of people who differ by little were off by more than they differ (Wu & Johnson, Rethinking "Batch" in BatchNorm, 2021).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from lnc_dicom.autocast import learning_precision
from lnc_dicom.biomarker.network import BiomarkerNetwork, has_region, ready
from lnc_dicom.biomarker.train.augment import inner

_Norm = nn.BatchNorm3d | nn.BatchNorm1d

MOST = 400
"""Patients that are enough for statistics over all their voxels."""


@torch.no_grad()
def settle(network: BiomarkerNetwork, crops: Tensor, device: str, batch: int) -> None:
    """Measure the statistics of every batch normalisation on crops with a margin (n, s, 2, L, P, S), in place.

    Those of the features come last, from a backbone that already works as it will in inference: the heads then say of
    the mean of these people what they learned to say of it.
    """
    dropout = network.dropout.p
    network.dropout.p = 0.0
    step = max(1, len(crops) // MOST)
    batches = [some for some in torch.split(crops[::step], batch) if len(some) > 1]
    for turn in ([m for m in network.backbone.modules() if isinstance(m, nn.BatchNorm3d)], [network.level]):
        _measure(network, turn, batches, device)
    network.dropout.p = dropout
    ready(network)


def _measure(network: BiomarkerNetwork, norms: Sequence[_Norm], batches: Iterable[Tensor], device: str) -> None:
    """Measure the statistics of some normalisations, while all others stay as they are."""
    ready(network)
    momenta = {}
    for norm in norms:
        norm.reset_running_stats()
        momenta[norm], norm.momentum = norm.momentum, None  # None: the plain mean over all batches
        norm.train()
    for some in batches:
        seen = inner(some).to(device)
        with learning_precision(device):
            features = network.features(seen)
        network.heads(features, has_region(seen))
    for norm, momentum in momenta.items():
        norm.momentum = momentum
