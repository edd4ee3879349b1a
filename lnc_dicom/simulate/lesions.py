"""Lesions of small-vessel disease and infarction, added to a T1 on the grid of the label map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lnc_dicom.segment.synthesis.label_maps import Palette
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.simulate.subjects import People

_LEFT = {"nuclei": (11, 12, 13, 9001), "lateral": (12,), "white": (2,)}
_RIGHT = {"nuclei": (50, 51, 52, 9002), "lateral": (51,), "white": (41,)}
_SPACE_MM, _LACUNE_MM = (0.7, 1.3), (1.6, 3.2)
_CAP_LOSS = 0.14
"""Contrast of the periventricular caps to white matter."""


def add_lesions(
    image: Tensor, codes: Tensor, from_ventricle_mm: Tensor, palette: Palette, people: People, person: int, draw: Rng
) -> None:
    """Add perivascular spaces, lacunes, chronic infarcts and periventricular caps to an image (L, P, S), in place."""
    for side, labels in enumerate((_LEFT, _RIGHT)):
        nuclei = _places(codes, palette, labels["nuclei"])
        for _ in range(int(people.spaces[person, side])):
            _spot(image, _pick(nuclei, codes, draw), draw.uniform(*_SPACE_MM), 0.45, draw)
        for _ in range(int(people.lacunes[person, side])):
            _spot(image, _pick(nuclei, codes, draw), draw.uniform(*_LACUNE_MM), 0.75, draw)
        if people.scar_mm[person, side] > 0:
            middle = _pick(_places(codes, palette, labels["lateral"]), codes, draw)
            _spot(image, middle, float(people.scar_mm[person, side]), 0.8, draw)
        white = torch.zeros(len(palette.labels), dtype=torch.bool)
        white[palette.codes(labels["white"])] = True
        cap = (from_ventricle_mm < float(people.caps_mm[person, side])) & white[codes]
        image[cap] -= _CAP_LOSS


def _places(codes: Tensor, palette: Palette, labels: Sequence[int]) -> Tensor:
    """Flat indices of the voxels with one of these labels."""
    wanted = torch.zeros(len(palette.labels), dtype=torch.bool)
    wanted[palette.codes(labels)] = True
    return wanted[codes].flatten().nonzero()[:, 0]


def _pick(places: Tensor, codes: Tensor, draw: Rng) -> Tensor:
    """Rng one of the flat indices, as a voxel index (3,)."""
    place = places[draw.integer(len(places))]
    return torch.stack(torch.unravel_index(place, codes.shape))


def _spot(image: Tensor, middle: Tensor, radius: float, depth: float, draw: Rng) -> None:
    """Darken an ellipsoid with soft edges, by `depth` in its centre; its long axis is vertical, like the vessels."""
    long = draw.uniform(1.0, 2.2)
    reach = torch.tensor([radius, radius, radius * long]).mul(2.5).ceil().int() + 1
    low, high = (middle - reach).clamp(min=0), (middle + reach + 1).minimum(torch.tensor(image.shape))
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    axes = [torch.arange(int(a), int(b)) - m for a, b, m in zip(low, high, middle, strict=True)]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    distance = ((x**2 + y**2 + (z / long) ** 2).sqrt() - radius) / 0.5
    image[box] *= 1 - depth * torch.sigmoid(-2 * distance)
