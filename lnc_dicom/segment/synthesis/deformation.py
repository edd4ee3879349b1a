"""Label map + config → the grid on which a new head is sampled: placed, turned, stretched, the ventricles widened."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lnc_dicom.geometry.resampling import sample_at
from lnc_dicom.segment.synthesis.config import SynthesisConfig
from lnc_dicom.segment.synthesis.label_maps import DISPLACEMENT_SPACING_MM
from lnc_dicom.segment.synthesis.rng import Rng


class DeformableHead(Protocol):
    """What `deformed_grid` needs of a head, synthetic or real; fields as in `LabelMap`."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Along L, P, S."""

    @property
    def centre(self) -> tuple[float, float, float]:
        """Centroid of the deep grey matter, as an index (L, P, S)."""

    @property
    def ventricle_displacement(self) -> npt.NDArray[np.float32]:
        """Vectors (3, L, P, S) towards the lateral ventricles."""


def deformed_grid(head: DeformableHead, config: SynthesisConfig, rng: Rng, *, mirrored: bool) -> Tensor:
    """Index into the subsampled label map (L, P, S, 3) for every voxel of a randomly placed and deformed grid."""
    low, high = torch.tensor(config.centre_low_mm), torch.tensor(config.centre_high_mm)
    offset = low + (high - low) * torch.rand(3, generator=rng.generator)
    axes = [torch.arange(n) * config.spacing_mm - (n - 1) * config.spacing_mm / 2 for n in config.shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1) + offset
    points = points @ _random_affine(config, rng).T
    points += _elastic(config, rng)
    if mirrored:
        points[..., 0] *= -1
    index = points / torch.tensor(head.spacing_mm) + torch.tensor(head.centre)
    if rng.chance(0.35):
        index = _widen_ventricles(index, head, rng.uniform(-1.5, 6.0))
    return index / config.stride


def _widen_ventricles(index: Tensor, head: DeformableHead, wall_mm: float) -> Tensor:
    """Move the walls of the lateral ventricles outwards (inwards if negative); the displacement fades within 1 cm."""
    spacing_mm = torch.tensor(head.spacing_mm)
    displacement = torch.from_numpy(head.ventricle_displacement)
    shift = sample_at(displacement, index * spacing_mm / DISPLACEMENT_SPACING_MM)
    return index + wall_mm * shift.permute(1, 2, 3, 0) / spacing_mm


def _random_affine(config: SynthesisConfig, rng: Rng) -> Tensor:
    """Rotation, scale and shear (3, 3)."""
    angles = torch.deg2rad(rng.normal(3) * config.rotation_deg)
    matrix = torch.diag(torch.exp(rng.normal(3) * config.scale))
    matrix = matrix + config.shear * rng.normal(3, 3) * (1 - torch.eye(3))
    for axis, angle in enumerate(angles):
        turn = torch.eye(3)
        i, j = [a for a in range(3) if a != axis]
        turn[i, i] = turn[j, j] = torch.cos(angle)
        turn[i, j], turn[j, i] = -torch.sin(angle), torch.sin(angle)
        matrix = turn @ matrix
    return matrix


def _elastic(config: SynthesisConfig, rng: Rng) -> Tensor:
    """Displacement in mm (L, P, S, 3): a smooth large field plus a finer small one."""
    extent_mm = max(config.shape) * config.spacing_mm
    wide = rng.uniform(0, 4) * rng.smooth(config.shape, max(3, round(extent_mm / 35)), 3)
    small = rng.uniform(0, 1.2) * rng.smooth(config.shape, max(5, round(extent_mm / 12)), 3)
    return (wide + small)[0].permute(1, 2, 3, 0)
