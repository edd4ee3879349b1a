"""Batch normalisation for inference: statistics of all training patients under the current weights.

The running means of training lag behind the weights and belong to augmented crops. With them, predictions of people
who differ little were off by more than their difference (Wu & Johnson, Rethinking "Batch" in BatchNorm, 2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from lnc_dicom.autocast import learning_precision
from lnc_dicom.biomarker.crops import without_margin
from lnc_dicom.biomarker.network import BiomarkerNetwork, input_channels, ready

MAX_PATIENTS = 400
"""Enough patients for statistics over all their voxels."""


@torch.no_grad()
def update_batch_norm(network: BiomarkerNetwork, crops: Tensor, device: str, batch: int) -> None:
    """Recompute the statistics of every batch normalisation on crops with a margin (n, s, 2, L, P, S), in place.

    The normalisation of the features is updated last, with the backbone already in its inference state: its mean is
    then the mean of these patients.
    """
    step = max(1, len(crops) // MAX_PATIENTS)
    batches = [some for some in torch.split(crops[::step], batch) if len(some) > 1]
    ready(network)
    with learning_precision(device):
        update_bn((input_channels(without_margin(some).to(device)) for some in batches), network.backbone)
    update_bn(_flat_features(network, batches, device), network.level)
    ready(network)


def _flat_features(network: BiomarkerNetwork, batches: Sequence[Tensor], device: str) -> Iterator[Tensor]:
    """Features of batches of patients as the input of the feature normalisation, (patients * sides, regions * 512)."""
    for some in batches:
        with learning_precision(device):
            features = network.features(without_margin(some).to(device))
        yield features.reshape(-1, network.level.num_features)
