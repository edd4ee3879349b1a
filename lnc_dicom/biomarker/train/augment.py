"""Crops with a margin → crops, turned and shifted a little, so that no two epochs show the same image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.biomarker.crops import MARGIN, SHAPE

_TURN_DEG, _SHIFT_VOXELS = 5.0, 1.2
_GAIN, _OFFSET, _NOISE = 0.005, 0.02, 0.15
"""SD of contrast and of brightness, and the strongest noise, in the units of the crops.

Small: crops are relative to white matter, and people differ by 0.2 of these units.
"""


def inner(crops: Tensor) -> Tensor:
    """Take the margin off (…, L, P, S); what was not found becomes 0."""
    x, y, z = (slice(MARGIN, MARGIN + n) for n in SHAPE)
    return crops[..., x, y, z].float().nan_to_num(0.0)


def augment(crops: Tensor, chance: torch.Generator) -> Tensor:
    """Turn, shift, brighten and roughen crops (n, s, 2, L, P, S), each on its own; volumes stay as they are."""
    flat = crops.flatten(0, 1).float().nan_to_num(0.0)
    count = len(flat)
    skew = torch.zeros(count, 3, 3)
    angles = torch.deg2rad(_TURN_DEG * torch.randn(count, 3, generator=chance))
    for k, (i, j) in enumerate(((2, 1), (0, 2), (1, 0))):
        skew[:, i, j], skew[:, j, i] = angles[:, k], -angles[:, k]
    size = torch.tensor(flat.shape[2:]).flip(0).float()  # grid_sample names the last axis first
    inner_size = torch.tensor(SHAPE).flip(0).float()
    turn = torch.linalg.matrix_exp(skew) * (inner_size / size.unsqueeze(1)).to(skew)
    shift = 2 * _SHIFT_VOXELS * torch.randn(count, 3, generator=chance) / size
    theta = torch.cat([turn, shift.unsqueeze(2)], dim=2)
    grid = functional.affine_grid(theta, [count, 2, *SHAPE], align_corners=False)
    moved = functional.grid_sample(flat, grid, align_corners=False)
    gain = 1 + _GAIN * torch.randn(count, 1, 1, 1, generator=chance)
    offset = _OFFSET * torch.randn(count, 1, 1, 1, generator=chance)
    noise = _NOISE * torch.rand(count, 1, 1, 1, generator=chance) * torch.randn(count, *SHAPE, generator=chance)
    moved[:, 0] = moved[:, 0] * gain + offset + noise
    return moved.reshape(*crops.shape[:3], *SHAPE)
