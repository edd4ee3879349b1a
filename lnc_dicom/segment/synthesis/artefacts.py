"""A clean image → an image with artefacts: blur, thick slices, ghosts, noise, bias field, a cut field of view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.segment.synthesis.config import SynthesisConfig
from lnc_dicom.segment.synthesis.rng import Rng


def add_artefacts(image: Tensor, config: SynthesisConfig, rng: Rng) -> Tensor:
    """Blur and resample (L, P, S) to a random resolution, add ghosts, noise and a bias field, vary the gamma."""
    image = blur_and_downsample(image, config, rng)
    top = float(np.percentile(image.numpy()[..., ::2, ::2, ::2], 99))
    if rng.chance(0.1):
        image = _ghost(image, rng)
    noise = rng.uniform(0, 0.14) * top * rng.uniform(0, 1) ** 2
    image = (image + noise * rng.normal(*image.shape)).abs()
    image = functional.interpolate(image[None, None], size=config.shape, mode="trilinear", align_corners=False)
    image = image[0, 0] * torch.exp(_log_bias(config, rng)) / max(top, 1e-3)
    return image.clamp(min=0) ** float(torch.exp(0.2 * rng.normal(1)))


def blur_and_downsample(image: Tensor, config: SynthesisConfig, rng: Rng) -> Tensor:
    """Take the image at a random resolution; often thicker along one axis."""
    finest = max(1.0, config.spacing_mm)
    resolution = torch.full((3,), rng.uniform(0.6, 1.4) * finest)
    if rng.chance(0.35):  # thick slices, in any plane
        resolution[rng.integer(3)] = rng.uniform(1.0, 4.0) * finest
    image = blur(image, [float(s) for s in 0.4 * resolution / config.spacing_mm])
    shape = [
        max(4, min(n, round(n * config.spacing_mm / float(r)))) for n, r in zip(config.shape, resolution, strict=True)
    ]
    return functional.interpolate(image[None, None], size=shape, mode="trilinear", align_corners=False)[0, 0]


def _ghost(image: Tensor, rng: Rng) -> Tensor:
    """Add a faint shifted copy along one axis, as motion during phase encoding does."""
    axis = rng.integer(3)
    shift = max(1, image.shape[axis] // (2 + rng.integer(5)))
    return image + rng.uniform(0.02, 0.15) * image.roll(shift, axis)


def _log_bias(config: SynthesisConfig, rng: Rng) -> Tensor:
    """Logarithm of the bias field: a smooth field, and often that of uncorrected surface coils, brighter outside."""
    field = rng.uniform(0, 0.3) * rng.smooth(config.shape, 3 + rng.integer(2))[0, 0]
    if rng.chance(0.5):
        offset = 30 * rng.normal(3)
        axes = [
            ((torch.arange(n) - (n - 1) / 2) * config.spacing_mm - offset[i]) / 100 for i, n in enumerate(config.shape)
        ]
        squares = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0)
        field = field + rng.uniform(-0.3, 1.5) * squares.clamp(max=1.5)
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


def cut_field_of_view(image: Tensor, chance: float, rng: Rng) -> tuple[Tensor, Tensor]:
    """Sometimes blank everything beyond a plane; nothing can be labelled where nothing was imaged."""
    kept = torch.ones(image.shape, dtype=torch.bool)
    if rng.chance(chance):
        axis = rng.integer(3)
        size = image.shape[axis]
        gone = rng.integer(size // 3) + 1
        kept.narrow(axis, 0 if rng.chance(0.5) else size - gone, gone).zero_()
    return image * kept, kept
