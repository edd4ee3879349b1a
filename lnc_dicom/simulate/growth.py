"""Label map → displacement fields that make each of its structures larger or smaller.

A structure grows when the sampling grid is displaced towards its inside, along the gradient of its blurred mask, as
the ventricles do in `segment.synthesis.deformation`. What a structure gains its neighbours lose, so the displacements
of all structures are solved for together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from lnc_dicom.geometry.resampling import sample, sample_at

GRID_MM = 2.0
_BLUR_MM = 2.5
MAX_DISPLACEMENT_MM = 2.2
"""Largest displacement of a wall; with more, neighbouring structures would fold over each other."""
_REACH_MM = (52.0, 72.0, 52.0)
"""Half the box around the deep grey matter in which walls move, along L, P, S."""


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """Displacement fields of one label map, and their effect on its volumes.

    displacement
        float32 (structures, 3, L, P, S) on a grid of `GRID_MM`: towards the inside of each structure, of length 1 at
        its steepest wall.
    low_mm
        Position of the grid's first voxel, in mm along the axes of the label map.
    gain_ml
        (structures, structures): change of the volume of each (row) per mm of displacement of each (column).
    volume_ml
        Volumes in the label map.
    """

    displacement: Tensor = field(repr=False)
    low_mm: npt.NDArray[np.float64]
    gain_ml: npt.NDArray[np.float64]
    volume_ml: npt.NDArray[np.float64]

    def steps_mm(self, more_ml: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Displacement of every structure in mm that changes the volumes by `more_ml`, to first order."""
        ridge = 0.02 * float(np.abs(np.diag(self.gain_ml)).mean()) * np.eye(len(self.gain_ml))
        return np.asarray(np.linalg.solve(self.gain_ml + ridge, more_ml))

    def shift_mm(self, points_mm: Tensor, steps_mm: npt.NDArray[np.float64]) -> Tensor:
        """Total displacement at points (L, P, S, 3), both in mm along the axes of the label map."""
        field_mm = torch.einsum("s,scijk->cijk", torch.from_numpy(steps_mm).float(), self.displacement)
        index = (points_mm - torch.from_numpy(self.low_mm).float()) / GRID_MM
        shift = sample_at(field_mm, index)
        return shift.permute(1, 2, 3, 0)


def prepare_growth(
    structures: npt.NDArray[np.uint8],
    count: int,
    spacing_mm: tuple[float, float, float],
    centre: tuple[float, float, float],
) -> Growth:
    """Compute the displacement fields of a label map.

    structures
        uint8 (L, P, S): 1 … count for structures that may grow, 0 elsewhere.
    centre
        Voxel index of the centroid of the deep grey matter.
    """
    spacing = np.array(spacing_mm)
    reach = np.ceil(np.array(_REACH_MM) / spacing).astype(int)
    low = np.maximum(np.rint(centre).astype(int) - reach, 0)
    box = structures[tuple(slice(a, a + 2 * r + 1) for a, r in zip(low, reach, strict=True))]
    zoom = GRID_MM / spacing
    i, j, k = (int((n - 1) / z) + 1 for n, z in zip(box.shape, zoom, strict=True))
    shape = (i, j, k)
    fields, masks = [], []
    for number in range(1, count + 1):
        mask = (box == number).astype(np.float32)
        thinned = torch.from_numpy(ndimage.uniform_filter(mask, 2))
        coarse = sample(thinned[None], np.diag([*zoom, 1.0]), shape)[0].numpy()
        blurred = ndimage.gaussian_filter(coarse, _BLUR_MM / GRID_MM)
        gradient = np.stack(np.gradient(blurred)).astype(np.float32)
        fields.append(gradient / max(float(np.sqrt((gradient**2).sum(0).max())), 1e-6))
        masks.append(coarse)
    voxel_ml = GRID_MM**3 / 1000
    divergence = np.stack([sum(np.gradient(p[a], GRID_MM, axis=a) for a in range(3)) for p in fields])
    gain = -np.einsum("rijk,cijk->rc", np.stack(masks), divergence) * voxel_ml
    counts = np.bincount(structures.ravel(), minlength=count + 1)[1 : count + 1]
    return Growth(torch.from_numpy(np.stack(fields)), low * spacing, gain, counts * float(np.prod(spacing)) / 1000)
