"""Batch normalisation for inference: its statistics measured anew, on crops and with weights as they are.

The running means that training leaves lag behind the weights and belong to augmented crops; with them the predictions
of people who differ by little were off by more than they differ (Wu & Johnson, Rethinking "Batch" in BatchNorm, 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lnc_dicom.biomarker.augment import inner
from lnc_dicom.biomarker.network import BiomarkerNetwork, has_region, ready

MOST = 400
"""Patients that are enough for statistics over all their voxels."""


@torch.no_grad()
def settle(network: BiomarkerNetwork, crops: Tensor, device: str, batch: int) -> None:
    """Measure the statistics of every batch normalisation on crops with a margin (n, s, 2, L, P, S), in place."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm3d | nn.BatchNorm1d)]
    before = [m.momentum for m in norms]
    dropout = network.dropout.p
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    network.train()
    network.dropout.p = 0.0
    step = max(1, len(crops) // MOST)
    for some in torch.split(crops[::step], batch):
        if len(some) > 1:
            seen = inner(some).to(device)
            with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
                features = network.features(seen)
            network.heads(features, has_region(seen))
    network.dropout.p = dropout
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    ready(network)
