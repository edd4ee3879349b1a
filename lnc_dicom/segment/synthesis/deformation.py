"""Label map + recipe → where each voxel of a new head looks: placed, turned, stretched, its ventricles widened."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.segment.synthesis.config import Recipe
from lnc_dicom.segment.synthesis.label_maps import PUSH_SPACING_MM
from lnc_dicom.segment.synthesis.rng import Draw


class Placed(Protocol):
    """What is needed of a head, labelled or scanned, to look at it from a new place; fields as in `LabelMap`."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Along L, P, S."""

    @property
    def centre(self) -> tuple[float, float, float]:
        """Centroid of the deep grey matter, as an index (L, P, S)."""

    @property
    def push(self) -> npt.NDArray[np.float32]:
        """Vectors (3, L, P, S) towards the lateral ventricles."""


def where_to_look(head: Placed, recipe: Recipe, draw: Draw, *, mirrored: bool) -> Tensor:
    """Index into the thinned label map (L, P, S, 3) for every voxel of a randomly placed and deformed grid."""
    low, high = torch.tensor(recipe.centre_low_mm), torch.tensor(recipe.centre_high_mm)
    offset = low + (high - low) * torch.rand(3, generator=draw.generator)
    axes = [torch.arange(n) * recipe.spacing_mm - (n - 1) * recipe.spacing_mm / 2 for n in recipe.shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1) + offset
    points = points @ _random_affine(recipe, draw).T
    points += _elastic(recipe, draw)
    if mirrored:
        points[..., 0] *= -1
    index = points / torch.tensor(head.spacing_mm) + torch.tensor(head.centre)
    if draw.chance(0.35):
        index = _widen_ventricles(index, head, draw.uniform(-1.5, 6.0))
    return index / recipe.stride


def _widen_ventricles(index: Tensor, head: Placed, wall_mm: float) -> Tensor:
    """Move the walls of the lateral ventricles outwards by so much (inwards if negative); fades within 1 cm."""
    spacing_mm = torch.tensor(head.spacing_mm)
    push = torch.from_numpy(head.push)
    limit = torch.tensor(push.shape[1:]) - 1
    unit = (2 * index * spacing_mm / PUSH_SPACING_MM / limit - 1).flip(-1)
    shift = functional.grid_sample(push[None], unit[None].float(), align_corners=True)[0]
    return index + wall_mm * shift.permute(1, 2, 3, 0) / spacing_mm


def _random_affine(recipe: Recipe, draw: Draw) -> Tensor:
    """Rotation, scale and shear (3, 3)."""
    angles = torch.deg2rad(draw.normal(3) * recipe.rotation_deg)
    matrix = torch.diag(torch.exp(draw.normal(3) * recipe.scale))
    matrix = matrix + recipe.shear * draw.normal(3, 3) * (1 - torch.eye(3))
    for axis, angle in enumerate(angles):
        turn = torch.eye(3)
        i, j = [a for a in range(3) if a != axis]
        turn[i, i] = turn[j, j] = torch.cos(angle)
        turn[i, j], turn[j, i] = -torch.sin(angle), torch.sin(angle)
        matrix = turn @ matrix
    return matrix


def _elastic(recipe: Recipe, draw: Draw) -> Tensor:
    """Displacement in mm (L, P, S, 3): slow and wide plus quick and small."""
    extent_mm = max(recipe.shape) * recipe.spacing_mm
    wide = draw.uniform(0, 4) * draw.smooth(recipe.shape, max(3, round(extent_mm / 35)), 3)
    small = draw.uniform(0, 1.2) * draw.smooth(recipe.shape, max(5, round(extent_mm / 12)), 3)
    return (wide + small)[0].permute(1, 2, 3, 0)
