"""Crops with a margin → randomly rotated and shifted crops, so that no two epochs show the same image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.biomarker.crops import SHAPE

_ROTATION_DEG, _SHIFT_VOXELS = 5.0, 1.2
_GAIN, _OFFSET, _NOISE = 0.005, 0.02, 0.15
"""SD of gain and of offset, and the largest SD of the noise, in the units of the crops.

They are small because crops are relative to white matter and people differ by only 0.2 of these units.
"""


def augment(crops: Tensor, rng: torch.Generator) -> Tensor:
    """Rotate, shift and scale the intensity of crops (n, s, 2, L, P, S), each independently, and add noise.

    Volumes do not change. Returns crops without the margin.
    """
    flat = crops.flatten(0, 1).float().nan_to_num(0.0)
    count = len(flat)
    skew = torch.zeros(count, 3, 3)
    angles = torch.deg2rad(_ROTATION_DEG * torch.randn(count, 3, generator=rng))
    for k, (i, j) in enumerate(((2, 1), (0, 2), (1, 0))):
        skew[:, i, j], skew[:, j, i] = angles[:, k], -angles[:, k]
    size = torch.tensor(flat.shape[2:]).flip(0).float()  # grid_sample names the last axis first
    inner_size = torch.tensor(SHAPE).flip(0).float()
    rotation = torch.linalg.matrix_exp(skew) * (inner_size / size.unsqueeze(1)).to(skew)
    shift = 2 * _SHIFT_VOXELS * torch.randn(count, 3, generator=rng) / size
    theta = torch.cat([rotation, shift.unsqueeze(2)], dim=2)
    grid = functional.affine_grid(theta, [count, 2, *SHAPE], align_corners=False)
    moved = functional.grid_sample(flat, grid, align_corners=False)
    gain = 1 + _GAIN * torch.randn(count, 1, 1, 1, generator=rng)
    offset = _OFFSET * torch.randn(count, 1, 1, 1, generator=rng)
    noise = _NOISE * torch.rand(count, 1, 1, 1, generator=rng) * torch.randn(count, *SHAPE, generator=rng)
    moved[:, 0] = moved[:, 0] * gain + offset + noise
    return moved.reshape(*crops.shape[:3], *SHAPE)
