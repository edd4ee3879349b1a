"""Tissue codes → an image without artefacts: every tissue has a mean, noise and a slowly varying texture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.anatomy import INTERNAL_CAPSULE_FREESURFER
from lnc_dicom.segment.synthesis.label_maps import WHITE_MATTER, Palette
from lnc_dicom.segment.synthesis.rng import Rng

_CAUDATE_LIKE = (11, 50, 26, 58)
"""Labels that share the cortex' prior but lie between cortex and putamen in real T1 (caudate, accumbens)."""

_MIXED = ((2, 41, *INTERNAL_CAPSULE_FREESURFER), (10, 49), (12, 51), (13, 52), (28, 60))
"""Labels that share fibres with their surroundings: white matter, thalamus, putamen, pallidum, ventral diencephalon."""

_COHERENT_CHANCE = 0.75
"""How often all tissues of a realistic image share the contrast of one real T1."""
_T1_RATIOS = (
    ((11, 50, 26, 58), 0.735),
    ((12, 51), 0.785),
    ((13, 52), 0.90),
    ((10, 49), 0.86),
    (INTERNAL_CAPSULE_FREESURFER, 0.945),
)
"""Caudate and accumbens, putamen, pallidum, thalamus, internal capsule: intensity against bright white matter.

Three unlabelled heads and ICBM152 show 0.68 to 0.82, 0.73 to 0.86, 0.80 to 0.93, 0.69 to 0.90, 0.92 to 0.97.
"""
_REALISTIC_FIBRES = 0.35
"""Factor on the shares of `_FIBRE_RICH` in realistic images."""

_FIBRE_RICH = (((10, 49), 1.0), ((13, 52), 0.7), ((12, 51), 0.4), ((28, 60), 0.7))
"""Nuclei that fibres enter from the capsule, and the largest share of white matter at that border."""


def sample_intensities(codes: Tensor, palette: Palette, rng: Rng, *, realistic: bool = True) -> Tensor:
    """Draw an intensity for every voxel of `codes` (L, P, S); sometimes without a skull, sometimes with lesions.

    realistic
        Contrast and deep borders vary as in real T1 rather than broadly.
    """
    means, sds = _tissue_intensities(palette, rng, realistic=realistic)
    outside = torch.from_numpy(palette.outside_brain)
    if rng.chance(0.4):  # fat, muscle and eyes far from the brain's intensities
        means = torch.where(outside, means * rng.uniform(0.4, 3.0), means)
    if rng.chance(0.2):  # skull-stripped, with or without the fluid around the brain
        outside = outside | torch.from_numpy(palette.csf) if rng.chance(0.5) else outside
        means, sds = means * ~outside, sds * ~outside
    chosen = codes.long()
    mean = _soften_deep_borders(means, chosen, palette, rng, realistic=realistic)
    uneven = rng.smooth(codes.shape, max(4, max(codes.shape) // 9))[0, 0] * rng.uniform(0, 0.8)
    grain = rng.normal(*codes.shape) * rng.uniform(0.2, 1)
    image = mean + sds[chosen] * (uneven + grain)
    if rng.chance(0.3):
        _add_lesions(image, chosen, palette, rng)
    return image.clamp(min=0)


def _soften_deep_borders(means: Tensor, codes: Tensor, palette: Palette, rng: Rng, *, realistic: bool) -> Tensor:
    """Give every voxel its tissue's mean; mix nuclei with the white matter around them.

    In real T1 the lateral thalamus is as bright as white matter and the internal capsule darker than white matter
    elsewhere (its ratio to it is 0.96 in MNI152), because fibres and cells mix; without this, the network calls the
    capsule thalamus.
    """
    shares, fibre_shares = torch.zeros(len(palette.labels)), torch.zeros(len(palette.labels))
    for labels in _MIXED:
        shares[palette.codes(labels)] = rng.uniform(0, 0.4 if realistic else 0.7)
    for labels, most in _FIBRE_RICH:
        fibre_shares[palette.codes(labels)] = rng.uniform(0, most * (_REALISTIC_FIBRES if realistic else 1))
    white = palette.codes((*WHITE_MATTER, *INTERNAL_CAPSULE_FREESURFER))
    is_white = torch.zeros(len(palette.labels))
    is_white[white] = 1
    mean = means[codes]
    cell = 4 if rng.chance(0.4) else 8
    near = (2 * _far_blur(is_white[codes], cell)).clamp(max=1)  # 1 at a flat border, falling to 0 inside
    mean = mean + fibre_shares[codes] * near * (means[white[0]] - mean)
    if realistic:
        mean = _darken_white_matter(mean, is_white[codes], means, codes, palette, rng)
    around = _far_blur(mean, 4 if rng.chance(0.4) else 8)
    return mean + shares[codes] * (around - mean)


def _darken_white_matter(
    mean: Tensor, white: Tensor, means: Tensor, codes: Tensor, palette: Palette, rng: Rng
) -> Tensor:
    """Darken the white matter where real T1 is darker than white matter elsewhere.

    Beside the thalamus, where the reticular nucleus and crossing fibres make the capsule 4 % darker in the mean of
    MNI152 (a quarter of the way to the thalamus); and between putamen and insula, where the label maps count the
    claustrum as white matter.
    """

    def beside(labels: tuple[int, ...], cell: int) -> Tensor:
        there = torch.zeros(len(palette.labels))
        there[palette.codes(labels)] = 1
        return (2 * _far_blur(there[codes], cell)).clamp(max=1)

    thalamus, putamen = means[palette.code(10)], means[palette.code(12)]
    share = rng.uniform(0, 0.7) * beside((10, 49), 4 if rng.chance(0.4) else 8)
    mean = mean + white * share * (thalamus - mean)
    claustrum = rng.uniform(0, 0.7) * beside((12, 51), 4) * beside((3, 42), 4)
    return mean + white * claustrum * (putamen - mean)


def _far_blur(image: Tensor, cell: int) -> Tensor:
    """Average over cells of so many voxels, linear between their middles: a wide blur at little cost."""
    padding = [side for n in reversed(image.shape) for side in (0, -n % cell)]
    padded = functional.pad(image[None, None], padding, mode="replicate")
    coarse = functional.avg_pool3d(padded, cell)
    fine = functional.interpolate(coarse, size=padded.shape[2:], mode="trilinear", align_corners=False)[0, 0]
    return fine[tuple(slice(n) for n in image.shape)]


def _tissue_intensities(palette: Palette, rng: Rng, *, realistic: bool) -> tuple[Tensor, Tensor]:
    """Mean and SD of the intensity per code, drawn around the T1 priors."""
    tissues = palette.means.shape[1]
    wide = rng.uniform(0.7, 1.6)
    mean = torch.from_numpy(palette.means[0]) + wide * torch.from_numpy(palette.means[1]) * rng.normal(tissues)
    sd = torch.from_numpy(palette.sds[0]) + torch.from_numpy(palette.sds[1]) * rng.normal(tissues)
    tissue = torch.from_numpy(palette.tissue)
    means, sds = mean.clamp(min=0)[tissue].float(), sd.clamp(min=1)[tissue].float()
    if realistic and rng.chance(_COHERENT_CHANCE):
        return _coherent_contrast(means, sds, palette, rng)
    blend, putamen = rng.uniform(0.2, 1.1), palette.code(12)
    nuclei = palette.codes(_CAUDATE_LIKE)
    means[nuclei] += blend * (means[putamen] - means[nuclei])
    sds[nuclei] += blend * (sds[putamen] - sds[nuclei])
    white = palette.codes((*WHITE_MATTER, *INTERNAL_CAPSULE_FREESURFER))
    if rng.chance(0.15):  # little myelin, as in a child, or a flat contrast
        means[white] += rng.uniform(0.1, 0.6) * (means[putamen] - means[white])
    means[white[2:]] *= rng.uniform(0.9, 1.03)
    return means, sds


def _coherent_contrast(broad_means: Tensor, broad_sds: Tensor, palette: Palette, rng: Rng) -> tuple[Tensor, Tensor]:
    """Use one contrast for the whole brain: ratios to white matter, stretched or flattened together.

    The priors describe each tissue alone; drawn independently, thalamus and putamen often vanish in the white matter,
    which is rare in a real T1. Outside the brain the broad distribution stays.
    """
    tissue = torch.from_numpy(palette.tissue)
    prior = torch.from_numpy(palette.means[0])
    white = prior[tissue[palette.code(WHITE_MATTER[0])]]
    ratio = (prior / white + 0.025 * rng.normal(len(prior)))[tissue]
    for labels, real in _T1_RATIOS:
        ratio[palette.codes(labels)] = real + 0.02 * float(rng.normal(1))
    means = (white * (1 - rng.uniform(0.6, 1.5) * (1 - ratio))).clamp(min=0).float()
    sds = (torch.from_numpy(palette.sds[0]) * rng.uniform(0.15, 0.7)).clamp(min=1)[tissue].float()
    outside = torch.from_numpy(palette.outside_brain)
    return torch.where(outside, broad_means, means), torch.where(outside, broad_sds, sds)


def _add_lesions(image: Tensor, codes: Tensor, palette: Palette, rng: Rng) -> None:
    """Put round spots into white matter and nuclei, in place: lacunes, lesions, perivascular spaces (dark), vessels."""
    wanted = torch.zeros(len(palette.labels), dtype=torch.bool)
    wanted[palette.codes((*WHITE_MATTER, *INTERNAL_CAPSULE_FREESURFER, 10, 49, 11, 50, 12, 51, 13, 52))] = True
    places = wanted[codes].flatten().nonzero()[:, 0]
    for _ in range(1 + rng.integer(12) if len(places) else 0):
        place = int(places[rng.integer(len(places))])
        middle = torch.tensor(torch.unravel_index(torch.tensor(place), codes.shape))
        radius = rng.uniform(0.7, 4.0)
        reach = int(3 * radius) + 1
        low, high = (middle - reach).clamp(min=0), (middle + reach + 1).minimum(torch.tensor(codes.shape))
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        axes = [torch.arange(int(a), int(b)) - m for a, b, m in zip(low, high, middle, strict=True)]
        squares = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0)
        strength = rng.uniform(-0.8, -0.1) if rng.chance(0.8) else rng.uniform(0.1, 1.0)
        image[box] *= 1 + strength * torch.exp(-squares / radius**2)
