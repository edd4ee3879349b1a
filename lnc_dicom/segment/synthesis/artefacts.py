"""A clean image → what a scanner makes of it: blur, thick slices, ghosts, noise, uneven sensitivity, a cut edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.segment.synthesis.config import Recipe
from lnc_dicom.segment.synthesis.rng import Draw


def spoil(image: Tensor, recipe: Recipe, draw: Draw) -> Tensor:
    """Blur and resample (L, P, S) to a random resolution, add ghosts, noise and bias, bend the contrast."""
    image = blur_and_thin(image, recipe, draw)
    top = float(np.percentile(image.numpy()[..., ::2, ::2, ::2], 99))
    if draw.chance(0.1):
        image = _ghost(image, draw)
    noise = draw.uniform(0, 0.14) * top * draw.uniform(0, 1) ** 2
    image = (image + noise * draw.normal(*image.shape)).abs()
    image = functional.interpolate(image[None, None], size=recipe.shape, mode="trilinear", align_corners=False)
    image = image[0, 0] * torch.exp(_log_bias(recipe, draw)) / max(top, 1e-3)
    return image.clamp(min=0) ** float(torch.exp(0.2 * draw.normal(1)))


def blur_and_thin(image: Tensor, recipe: Recipe, draw: Draw) -> Tensor:
    """Take the image at a random resolution; often thicker along one axis."""
    finest = max(1.0, recipe.spacing_mm)
    resolution = torch.full((3,), draw.uniform(0.6, 1.4) * finest)
    if draw.chance(0.35):  # thick slices, in any plane
        resolution[draw.integer(3)] = draw.uniform(1.0, 4.0) * finest
    image = blur(image, [float(s) for s in 0.4 * resolution / recipe.spacing_mm])
    shape = [
        max(4, min(n, round(n * recipe.spacing_mm / float(r)))) for n, r in zip(recipe.shape, resolution, strict=True)
    ]
    return functional.interpolate(image[None, None], size=shape, mode="trilinear", align_corners=False)[0, 0]


def _ghost(image: Tensor, draw: Draw) -> Tensor:
    """Add a faint shifted copy along one axis, as motion during phase encoding does."""
    axis = draw.integer(3)
    shift = max(1, image.shape[axis] // (2 + draw.integer(5)))
    return image + draw.uniform(0.02, 0.15) * image.roll(shift, axis)


def _log_bias(recipe: Recipe, draw: Draw) -> Tensor:
    """Logarithm of the sensitivity: a smooth field, and what surface coils do without correction, bright outside."""
    field = draw.uniform(0, 0.3) * draw.smooth(recipe.shape, 3 + draw.integer(2))[0, 0]
    if draw.chance(0.5):
        offset = 30 * draw.normal(3)
        axes = [
            ((torch.arange(n) - (n - 1) / 2) * recipe.spacing_mm - offset[i]) / 100 for i, n in enumerate(recipe.shape)
        ]
        squares = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0)
        field = field + draw.uniform(-0.3, 1.5) * squares.clamp(max=1.5)
    return field


def blur(image: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Gaussian blur of (L, P, S) with a sigma in voxels per axis."""
    x = image[None, None]
    for axis, sigma in enumerate(sigmas):
        radius = max(1, round(2.5 * sigma))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / max(sigma, 1e-3)) ** 2)
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = 2 * radius + 1
        padding = [0, 0, 0]
        padding[axis] = radius
        x = functional.conv3d(x, (kernel / kernel.sum()).reshape(shape), padding=padding)
    return x[0, 0]


def cut_field_of_view(image: Tensor, chance: float, draw: Draw) -> tuple[Tensor, Tensor]:
    """Sometimes blank everything beyond a plane; nothing can be labelled where nothing was imaged."""
    kept = torch.ones(image.shape, dtype=torch.bool)
    if draw.chance(chance):
        axis = draw.integer(3)
        size = image.shape[axis]
        gone = draw.integer(size // 3) + 1
        kept.narrow(axis, 0 if draw.chance(0.5) else size - gone, gone).zero_()
    return image * kept, kept
