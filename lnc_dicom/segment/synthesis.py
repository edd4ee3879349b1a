"""Label map + seed → (image, target): a head that was never scanned.

The approach of SynthSeg (Billot et al., Med Image Anal 2023): deform a label map, draw an intensity for every
tissue around T1 priors, then spoil the image as scanners do. Everything is drawn from the one generator handed in,
so the same seed gives the same image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.segment.intensity import normalise
from lnc_dicom.segment.labelmaps import LabelMap, Palette

_CAUDATE_LIKE = (11, 50, 26, 58)
"""Labels that share the cortex' prior but lie between cortex and putamen in real T1 (caudate, accumbens)."""

_MIXED = ((2, 41), (10, 49), (12, 51), (13, 52), (28, 60))
"""Labels that share fibres with their surroundings: white matter, thalamus, putamen, pallidum, ventral diencephalon."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one stage's images are made. Lengths in mm, axes (L, P, S).

    shape, spacing_mm
        Grid of the image.
    stride
        The label map is thinned by this before use (1: as it is).
    centre_low_mm, centre_high_mm
        Where the grid's centre may lie relative to the centroid of the deep grey matter.
    rotation_deg, scale, shear
        SD of each angle; SD of the logarithm of each scale; SD of each shear.
    whole_regions
        True: the target is `Palette.regions`; False: `Palette.structures`.
    """

    shape: tuple[int, int, int]
    spacing_mm: float
    stride: int
    centre_low_mm: tuple[float, float, float]
    centre_high_mm: tuple[float, float, float]
    rotation_deg: float
    scale: float
    shear: float
    whole_regions: bool


class Draw:
    """Random numbers from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float) -> float:
        """One number, evenly between low and high."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.uniform(0, 1) < probability

    def integer(self, high: int) -> int:
        """One of 0 … high - 1."""
        return int(torch.randint(high, (), generator=self.generator))

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers."""
        return torch.randn(shape, generator=self.generator)

    def smooth(self, shape: Sequence[int], knots: int, channels: int = 1) -> Tensor:
        """Draw a field (1, channels, *shape) that is normal at knots³ points and linear between them."""
        field = self.normal(1, channels, knots, knots, knots)
        return functional.interpolate(field, size=tuple(shape), mode="trilinear", align_corners=True)


def synthesise(head: LabelMap, palette: Palette, recipe: Recipe, draw: Draw) -> tuple[Tensor, Tensor]:
    """Make one image and its target.

    Returns the image, float32 (1, L, P, S), normalised as inference does, and the target, int64 (L, P, S).
    """
    mirrored = draw.chance(0.5)
    codes = torch.from_numpy(head.codes)[:: recipe.stride, :: recipe.stride, :: recipe.stride]
    index = _where_to_look(head, recipe, draw, mirrored=mirrored)
    codes, index = _cut_out(codes, index)
    target = _nearest(codes, index)
    image = _linear(_paint(codes, palette, draw), index)
    image = _spoil(image, recipe, draw)
    image, kept = _cut_field_of_view(image, draw)
    lookup = palette.regions() if recipe.whole_regions else palette.structures(mirrored=mirrored)
    labels = torch.from_numpy(lookup)[target.long()] * kept
    return normalise(image)[None], labels


def _where_to_look(head: LabelMap, recipe: Recipe, draw: Draw, *, mirrored: bool) -> Tensor:
    """Index into the thinned label map (L, P, S, 3) for every voxel of a randomly placed and deformed grid."""
    low, high = torch.tensor(recipe.centre_low_mm), torch.tensor(recipe.centre_high_mm)
    offset = low + (high - low) * torch.rand(3, generator=draw.generator)
    axes = [torch.arange(n) * recipe.spacing_mm - (n - 1) * recipe.spacing_mm / 2 for n in recipe.shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1) + offset
    points = points @ _random_affine(recipe, draw).T
    points += _elastic(recipe, draw)
    if mirrored:
        points[..., 0] *= -1
    spacing = torch.tensor(head.spacing_mm)
    return (points / spacing + torch.tensor(head.centre)) / recipe.stride


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


def _cut_out(codes: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Keep the part of the map that the grid touches, plus a border; shift the index to it."""
    flat = index.reshape(-1, 3)
    limit = torch.tensor(codes.shape)
    low = (flat.amin(0).floor().long() - 2).clamp(min=0).minimum(limit - 8)
    high = (flat.amax(0).ceil().long() + 3).maximum(low + 8).minimum(limit)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return codes[box].contiguous(), index - low


def _nearest(codes: Tensor, index: Tensor) -> Tensor:
    """Codes at the nearest voxel; 0 outside the map."""
    i = index.round().long()
    limit = torch.tensor(codes.shape)
    inside = ((i >= 0) & (i < limit)).all(-1)
    i = i.clamp(min=0).minimum(limit - 1)
    return codes[i[..., 0], i[..., 1], i[..., 2]] * inside


def _linear(image: Tensor, index: Tensor) -> Tensor:
    """Sample an image (L, P, S) at index, linearly; 0 outside: partial volume comes from here."""
    limit = torch.tensor(image.shape)
    unit = (2 * index / (limit - 1) - 1).flip(-1)
    return functional.grid_sample(image[None, None], unit[None].float(), align_corners=True)[0, 0]


def _paint(codes: Tensor, palette: Palette, draw: Draw) -> Tensor:
    """Give every tissue a mean, a grain and a slow unevenness; sometimes strip the skull."""
    means, sds = _tissue_intensities(palette, draw)
    outside = torch.from_numpy(palette.outside_brain)
    if draw.chance(0.4):  # fat, muscle and eyes far from the brain's intensities
        means = torch.where(outside, means * draw.uniform(0.4, 3.0), means)
    if draw.chance(0.2):  # skull-stripped, with or without the fluid around the brain
        outside = outside | torch.from_numpy(palette.csf) if draw.chance(0.5) else outside
        means, sds = means * ~outside, sds * ~outside
    chosen = codes.long()
    mean = _soften_deep_borders(means[chosen], chosen, palette, draw)
    uneven = draw.smooth(codes.shape, max(4, max(codes.shape) // 9))[0, 0] * draw.uniform(0, 0.8)
    grain = draw.normal(*codes.shape) * draw.uniform(0.2, 1)
    return (mean + sds[chosen] * (uneven + grain)).clamp(min=0)


def _soften_deep_borders(mean: Tensor, codes: Tensor, palette: Palette, draw: Draw) -> Tensor:
    """Let nuclei and the white matter between them take on some of their surroundings.

    In real T1 the lateral thalamus is as bright as white matter and the internal capsule darker than white matter
    elsewhere (its ratio to it is 0.96 in MNI152), because fibres and cells mix; without this, the network calls the
    capsule thalamus.
    """
    shares = torch.zeros(len(palette.labels))
    for labels in _MIXED:
        share = draw.uniform(0, 0.8)
        for label in labels:
            shares[palette.code(label)] = share
    around = _far_blur(mean, 4 if draw.chance(0.4) else 8)
    return mean + shares[codes] * (around - mean)


def _far_blur(image: Tensor, cell: int) -> Tensor:
    """Average over cells of so many voxels, linear between their middles: a wide blur at little cost."""
    padding = [side for n in reversed(image.shape) for side in (0, -n % cell)]
    padded = functional.pad(image[None, None], padding, mode="replicate")
    coarse = functional.avg_pool3d(padded, cell)
    fine = functional.interpolate(coarse, size=padded.shape[2:], mode="trilinear", align_corners=False)[0, 0]
    return fine[tuple(slice(n) for n in image.shape)]


def _tissue_intensities(palette: Palette, draw: Draw) -> tuple[Tensor, Tensor]:
    """Mean and SD of the intensity per code, drawn around the T1 priors."""
    tissues = palette.means.shape[1]
    wide = draw.uniform(0.7, 1.6)
    mean = torch.from_numpy(palette.means[0]) + wide * torch.from_numpy(palette.means[1]) * draw.normal(tissues)
    sd = torch.from_numpy(palette.sds[0]) + torch.from_numpy(palette.sds[1]) * draw.normal(tissues)
    tissue = torch.from_numpy(palette.tissue)
    means, sds = mean.clamp(min=0)[tissue].float(), sd.clamp(min=1)[tissue].float()
    blend, putamen = draw.uniform(0.2, 1.1), palette.code(12)
    for code in (palette.code(label) for label in _CAUDATE_LIKE):
        means[code] += blend * (means[putamen] - means[code])
        sds[code] += blend * (sds[putamen] - sds[code])
    return means, sds


def _spoil(image: Tensor, recipe: Recipe, draw: Draw) -> Tensor:
    """Blur and resample to a random resolution, add noise and bias, bend the contrast."""
    finest = max(1.0, recipe.spacing_mm)
    resolution = torch.full((3,), draw.uniform(0.8, 1.5) * finest)
    if draw.chance(0.4):  # thick slices, in any plane
        resolution[draw.integer(3)] = draw.uniform(1.0, 4.0) * finest
    sigmas = 0.4 * resolution / recipe.spacing_mm
    image = blur(image, [float(s) for s in sigmas])
    coarse = [
        max(4, min(n, round(n * recipe.spacing_mm / float(r)))) for n, r in zip(recipe.shape, resolution, strict=True)
    ]
    image = functional.interpolate(image[None, None], size=coarse, mode="trilinear", align_corners=False)
    top = float(np.percentile(image.numpy()[..., ::2, ::2, ::2], 99))
    noise = draw.uniform(0, 0.08) * top * draw.uniform(0, 1)
    image = (image + noise * draw.normal(*image.shape)).abs()
    image = functional.interpolate(image, size=recipe.shape, mode="trilinear", align_corners=False)
    image = image[0, 0] * torch.exp(_log_bias(recipe, draw)) / max(top, 1e-3)
    return image.clamp(min=0) ** float(torch.exp(0.2 * draw.normal(1)))


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


def _cut_field_of_view(image: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """Sometimes blank everything beyond a plane; nothing can be labelled where nothing was imaged."""
    kept = torch.ones(image.shape, dtype=torch.long)
    if draw.chance(0.15):
        axis = draw.integer(3)
        size = image.shape[axis]
        gone = draw.integer(size // 3) + 1
        kept.narrow(axis, 0 if draw.chance(0.5) else size - gone, gone).zero_()
    return image * kept, kept
