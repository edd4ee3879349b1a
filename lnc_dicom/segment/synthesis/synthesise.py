"""Label map + seed → (image, target): a synthetic head.

The approach of SynthSeg (Billot et al., Med Image Anal 2023): deform a label map, draw an intensity for every
tissue around T1 priors, then add artefacts. All random numbers come from the generator handed in, so the same seed
gives the same image.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.geometry.resampling import sample_at
from lnc_dicom.segment.intensity import normalise
from lnc_dicom.segment.synthesis.artefacts import add_artefacts, cut_field_of_view
from lnc_dicom.segment.synthesis.config import SynthesisConfig
from lnc_dicom.segment.synthesis.deformation import deformed_grid
from lnc_dicom.segment.synthesis.intensities import sample_intensities
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette
from lnc_dicom.segment.synthesis.rng import Rng


def synthesise(
    head: LabelMap, palette: Palette, config: SynthesisConfig, rng: Rng, done: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Make one image and its target; `done` is the fraction of the training that is done (0 to 1).

    Returns the image, float32 (1, L, P, S), normalised as inference does, and the target, float16
    (classes, L, P, S): the share of each voxel that every class fills, so that borders within voxels are learned.
    """
    mirrored = rng.chance(0.5)
    codes = torch.from_numpy(head.codes)[:: config.stride, :: config.stride, :: config.stride]
    index = deformed_grid(head, config, rng, mirrored=mirrored)
    codes, index = cut_out(codes, index)
    lookup = torch.from_numpy(palette.regions() if config.whole_regions else palette.structures(mirrored=mirrored))
    target = fractions(lookup[codes.long()].to(torch.uint8), index, int(lookup.max()) + 1)
    intensities = sample_intensities(codes, palette, rng, realistic=config.has_realistic_contrast(done))
    image = add_artefacts(sample_at(intensities[None], index)[0], config, rng)
    image, kept = cut_field_of_view(image, config.cut_chance, rng)
    target[1:] *= kept  # nothing can be labelled where nothing was imaged
    target[0] = torch.where(kept, target[0], 1)
    return normalise(image)[None], target


def cut_out(codes: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Keep the part of the map that the grid touches, plus a border; shift the index to it."""
    flat = index.reshape(-1, 3)
    limit = torch.tensor(codes.shape)
    low = (flat.amin(0).floor().long() - 2).clamp(min=0).minimum(limit - 8)
    high = (flat.amax(0).ceil().long() + 3).maximum(low + 8).minimum(limit)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return codes[box].contiguous(), index - low


def fractions(classes: Tensor, index: Tensor, count: int) -> Tensor:
    """Linear shares of the classes around every index, float16 (count, L, P, S); class 0 outside."""
    bordered = functional.pad(classes, (1, 1, 1, 1, 1, 1)).flatten()
    size = [n + 2 for n in classes.shape]
    steps = (size[1] * size[2], size[2], 1)
    corners = torch.zeros(index.shape[:-1].numel(), dtype=torch.long)
    parts = []
    for axis, (n, step) in enumerate(zip(size, steps, strict=True)):
        position = (index[..., axis].flatten() + 1).clamp(0, n - 1.001)
        low = position.floor()
        parts.append((1 - (position - low), position - low))
        corners += low.long() * step
    shares = torch.zeros(len(corners) * count)
    rows = torch.arange(len(corners)) * count
    for corner in product((0, 1), repeat=3):
        offset = sum(step for step, side in zip(steps, corner, strict=True) if side)
        place = rows + bordered[corners + offset]
        shares[place] += parts[0][corner[0]] * parts[1][corner[1]] * parts[2][corner[2]]
    return shares.half().reshape(-1, count).T.reshape(count, *index.shape[:-1])
