"""Label map → how to make each structure of it larger or smaller.

A structure grows when the grid looks towards its inside along the gradient of its blurred mask, as the ventricles do
in `segment.deformation`. What a structure gains its neighbours lose, so all steps are found together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

GRID_MM = 2.0
_BLUR_MM = 2.5
MOST_MM = 2.2
"""A wall moves by this much at most: farther, and neighbours would fold over each other."""
_REACH_MM = (52.0, 72.0, 52.0)
"""Half the box around the deep grey matter in which walls move, along L, P, S."""


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """The pushes of one label map.

    push
        float32 (structures, 3, L, P, S) on a grid of `GRID_MM`: towards each structure, length 1 at its steepest wall.
    low_mm
        Position of the grid's first voxel, in mm along the axes of the label map.
    gain_ml
        (structures, structures): change of the volume of each (row) when each (column) is pushed by 1 mm.
    volume_ml
        Volumes in the label map.
    """

    push: Tensor = field(repr=False)
    low_mm: npt.NDArray[np.float64]
    gain_ml: npt.NDArray[np.float64]
    volume_ml: npt.NDArray[np.float64]

    def steps_mm(self, more_ml: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """How far every wall has to move to change the volumes by so much, to first order."""
        ridge = 0.02 * float(np.abs(np.diag(self.gain_ml)).mean()) * np.eye(len(self.gain_ml))
        return np.asarray(np.linalg.solve(self.gain_ml + ridge, more_ml))

    def shift_mm(self, points_mm: Tensor, steps_mm: npt.NDArray[np.float64]) -> Tensor:
        """Where to look instead of these points (..., 3), in mm along the axes of the label map, minus the points."""
        field_mm = torch.einsum("s,scijk->cijk", torch.from_numpy(steps_mm).float(), self.push)
        limit = (torch.tensor(field_mm.shape[1:]) - 1) * GRID_MM
        unit = (2 * (points_mm - torch.from_numpy(self.low_mm).float()) / limit - 1).flip(-1)
        shift = functional.grid_sample(field_mm[None], unit[None].float(), align_corners=True)[0]
        return shift.permute(1, 2, 3, 0)


def prepare_growth(
    structures: npt.NDArray[np.uint8],
    count: int,
    spacing_mm: tuple[float, float, float],
    centre: tuple[float, float, float],
) -> Growth:
    """Work out the pushes of a label map.

    structures
        uint8 (L, P, S): 1 … count where a structure lies that may grow, 0 elsewhere.
    centre
        Centroid of the deep grey matter, as an index.
    """
    spacing = np.array(spacing_mm)
    reach = np.ceil(np.array(_REACH_MM) / spacing).astype(int)
    low = np.maximum(np.rint(centre).astype(int) - reach, 0)
    box = structures[tuple(slice(a, a + 2 * r + 1) for a, r in zip(low, reach, strict=True))]
    zoom = GRID_MM / spacing
    shape = tuple(int((n - 1) / z) + 1 for n, z in zip(box.shape, zoom, strict=True))
    push, inside = [], []
    for number in range(1, count + 1):
        mask = (box == number).astype(np.float32)
        coarse = ndimage.affine_transform(ndimage.uniform_filter(mask, 2), zoom, output_shape=shape, order=1)
        blurred = ndimage.gaussian_filter(coarse, _BLUR_MM / GRID_MM)
        gradient = np.stack(np.gradient(blurred)).astype(np.float32)
        push.append(gradient / max(float(np.sqrt((gradient**2).sum(0).max())), 1e-6))
        inside.append(coarse)
    stacked = np.stack(push)
    voxel_ml = GRID_MM**3 / 1000
    divergence = np.stack([sum(np.gradient(p[a], GRID_MM, axis=a) for a in range(3)) for p in push])
    gain = -np.einsum("rijk,cijk->rc", np.stack(inside), divergence) * voxel_ml
    counts = np.bincount(structures.ravel(), minlength=count + 1)[1 : count + 1]
    return Growth(torch.from_numpy(stacked), low * spacing, gain, counts * float(np.prod(spacing)) / 1000)
