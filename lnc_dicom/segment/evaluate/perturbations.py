"""One real head → the same head as another scanner, protocol or day would have shown it.

Every perturbation changes the image in one way. Where the head itself moves or changes shape, it also returns a map
from each point of the new head to the old one, with which labels of the original head can be resampled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import highdicom as hd
import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from lnc_dicom.geometry.resampling import Outside, resample, sample, sample_at
from lnc_dicom.segment.synthesis.label_maps import DISPLACEMENT_SPACING_MM, ventricle_displacement

Array = npt.NDArray[np.float32]
Before = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""LPS points (N, 3) of the new head → where they were in the old one."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head with its tissues, all on one grid with axes (L, P, S).

    brain, ventricles
        Masks, from its own labels.
    fluid, grey, white
        Median intensity of ventricles, caudate and putamen, internal capsule.
    """

    volume: hd.Volume = field(repr=False)
    brain: npt.NDArray[np.bool_] = field(repr=False)
    ventricles: npt.NDArray[np.bool_] = field(repr=False)
    fluid: float
    grey: float
    white: float

    @property
    def array(self) -> Array:
        """Intensities."""
        return np.asarray(self.volume.array, np.float32)

    def with_array(self, array: npt.NDArray[np.floating]) -> hd.Volume:
        """Other intensities on the same grid."""
        return self.volume.with_array(np.ascontiguousarray(array, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One row of the table. `apply` returns the new image, and the map to the old points if they moved."""

    name: str
    setting: str
    apply: Callable[[Head], tuple[hd.Volume, Before | None]]


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def _thick(head: Head, axis: int, mm: float) -> tuple[hd.Volume, None]:
    """Average over slices of this thickness along one axis, as a thick slice does."""
    spacing_mm = [mm if a == axis else s for a, s in enumerate(head.volume.spacing)]
    return _on_grid(head, spacing_mm), None


def _in_plane(head: Head, mm: float) -> tuple[hd.Volume, None]:
    return _on_grid(head, [mm, mm, head.volume.spacing[2]]), None


def _grid_shape(head: Head, shape: tuple[int, int, int]) -> tuple[hd.Volume, None]:
    """Take the same extent with other numbers of voxels."""
    extent = np.array(head.volume.shape) * head.volume.spacing
    return _on_grid(head, list(extent / shape)), None


def _on_grid(head: Head, spacing_mm: list[float]) -> hd.Volume:
    """Take the head with other voxels: averaged over each where they are larger, interpolated where smaller."""
    volume = head.volume
    factors = np.array(spacing_mm) / volume.spacing
    sigmas = np.where(factors > 1, np.sqrt(np.maximum(factors**2 - 1, 0)) * 0.42, 0)  # FWHM of the slice
    blurred = head.with_array(ndimage.gaussian_filter(head.array, sigmas))
    shape = np.maximum(1, np.round(np.array(volume.shape) / factors).astype(int))
    lps_mm = volume.affine.copy()
    lps_mm[:3, :3] = lps_mm[:3, :3] * factors
    lps_mm[:3, 3] += volume.affine[:3, :3] @ ((factors - 1) / 2)
    array = sample(
        torch.from_numpy(np.ascontiguousarray(blurred.array))[None],
        np.linalg.inv(volume.affine) @ lps_mm,
        (int(shape[0]), int(shape[1]), int(shape[2])),
    )[0]
    return hd.Volume(array.numpy(), lps_mm, coordinate_system="PATIENT")


def _turned(head: Head, axis: int, degrees: float, shift_mm: float = 0.0) -> tuple[hd.Volume, Before]:
    """Turn and shift the head inside the scanner; the grid stays."""
    centre = np.array(head.volume.center_indices) @ head.volume.affine[:3, :3].T + head.volume.affine[:3, 3]
    turn = np.eye(3)
    i, j = (a for a in range(3) if a != axis)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
    back = np.eye(4)
    back[:3, :3] = turn.T
    back[:3, 3] = centre - turn.T @ (centre + shift_mm)
    shape = (head.array.shape[0], head.array.shape[1], head.array.shape[2])
    array = resample(head.volume, back @ head.volume.affine, shape).numpy()

    def before(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(points @ back[:3, :3].T + back[:3, 3])

    return head.with_array(array), before


def _stored_as(head: Head, order: tuple[int, int, int], signs: tuple[int, int, int]) -> tuple[hd.Volume, None]:
    """Store the same voxels along other axes, as those of a prone or decubitus head; only the affine tells."""
    volume = head.volume.permute_spatial_axes(order)
    flipped = [axis for axis, sign in enumerate(signs) if sign < 0]
    return (volume.flip_spatial(flipped) if flipped else volume), None


def _noisy(head: Head, snr: float, seed: int = 1) -> tuple[hd.Volume, None]:
    """Add Rician noise; the signal-to-noise ratio is that of white matter."""
    sigma = head.white / snr
    real, imaginary = (sigma * _rng(seed + i).standard_normal(head.array.shape) for i in range(2))
    return head.with_array(np.hypot(head.array + real, imaginary)), None


def _biased(head: Head, strength: float) -> tuple[hd.Volume, None]:
    """Multiply with a smooth field from 1 - strength to 1 + strength."""
    return head.with_array(head.array * _field(head, strength)), None


def _field(head: Head, strength: float) -> Array:
    knots = _rng(3).uniform(-1, 1, (4, 4, 4))
    zoom = np.array(head.array.shape) / 4
    smooth = ndimage.zoom(knots, zoom, order=3, mode="nearest", grid_mode=True)
    inside = smooth[head.brain]
    centred = (smooth - (inside.max() + inside.min()) / 2) / (np.ptp(inside) / 2)
    return np.asarray(1 + strength * np.clip(centred, -1, 1), np.float32)


def contrast(head: Head, grey: float, fluid: float, bias: float = 0.0) -> tuple[hd.Volume, None]:
    """Remap the intensities piecewise linearly, to these ratios of grey matter and fluid to white matter."""
    from_, to = [0.0, head.fluid, head.grey, head.white], [0.0, fluid * head.white, grey * head.white, head.white]
    array = np.interp(head.array, [*from_, 3 * head.white], [*to, 3 * head.white])
    return head.with_array(array * _field(head, bias) if bias else array), None


def _without_skull(head: Head) -> tuple[hd.Volume, None]:
    return head.with_array(head.array * ndimage.binary_closing(head.brain, iterations=2)), None


def _cropped(head: Head, below_mm: float, above_mm: float) -> tuple[hd.Volume, None]:
    """Keep a slab around the ventricles' middle."""
    middle = float(np.argwhere(head.ventricles)[:, 2].mean())
    low = max(0, int(middle - below_mm / head.volume.spacing[2]))
    high = min(head.volume.shape[2], int(middle + above_mm / head.volume.spacing[2]))
    lps_mm = head.volume.affine.copy()
    lps_mm[:3, 3] += low * lps_mm[:3, 2]
    return hd.Volume(head.array[:, :, low:high].copy(), lps_mm, coordinate_system="PATIENT"), None


def _ghosting(head: Head, strength: float) -> tuple[hd.Volume, None]:
    """Add two faint copies, shifted along P by a quarter of the field of view."""
    quarter = head.array.shape[1] // 4
    copies = np.roll(head.array, quarter, 1) + np.roll(head.array, -quarter, 1)
    return head.with_array(np.abs(head.array + strength * copies)), None


def _fat_bright(head: Head, factor: float) -> tuple[hd.Volume, None]:
    """Brighten what lies outside the brain and is not air."""
    outside = ~ndimage.binary_dilation(head.brain, iterations=2) & (head.array > head.grey)
    return head.with_array(np.where(outside, factor * head.array, head.array)), None


def _vessels(head: Head, count: int) -> tuple[hd.Volume, None]:
    """Draw tubes of 1.5 mm radius, twice as bright as white matter, through and around the brain."""
    rng = _rng(5)
    inside = np.argwhere(ndimage.binary_dilation(head.brain, iterations=3))
    tubes = np.zeros(head.array.shape, bool)
    for _ in range(count):
        place, direction = inside[rng.integers(len(inside))].astype(float), rng.standard_normal(3)
        for _ in range(60):
            direction = direction / np.linalg.norm(direction) + 0.25 * rng.standard_normal(3)
            place = np.clip(place + direction, 0, np.array(tubes.shape) - 1)
            tubes[tuple(np.round(place).astype(int))] = True
    tubes = ndimage.binary_dilation(tubes)
    return head.with_array(np.where(tubes, 2 * head.white, head.array)), None


def _wide_ventricles(head: Head, times: float) -> tuple[hd.Volume, Before]:
    """Move the walls of the lateral ventricles outwards until their volume has grown by this factor."""
    spacing_mm = (float(head.volume.spacing[0]), float(head.volume.spacing[1]), float(head.volume.spacing[2]))
    fine = DISPLACEMENT_SPACING_MM / np.array(spacing_mm)  # voxels of the head per voxel of the shift
    shift = _widening(head.ventricles.astype(np.float32), spacing_mm, times)
    affine, inverse = head.volume.affine, head.volume.inverse_affine

    def was(index: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        coarse = index / fine[:, None]
        return index + _sampled(shift, coarse) * fine[:, None]

    def before(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        index = was(inverse[:3, :3] @ points.T + inverse[:3, 3:])
        return np.asarray((affine[:3, :3] @ index + affine[:3, 3:]).T)

    array = head.array.astype(np.float64)
    planes = []
    for i in range(head.array.shape[0]):
        index = np.indices((1, *head.array.shape[1:])).reshape(3, -1).astype(float)
        index[0] += i
        planes.append(_sampled(array[None], was(index))[0])
    return head.with_array(np.stack(planes).reshape(head.array.shape)), before


def _sampled(channels: npt.NDArray[np.floating], index: npt.NDArray[np.float64]) -> npt.NDArray[np.floating]:
    """Sample (C, L, P, S) linearly at index (3, ...); the value of the nearest voxel outside."""
    points = torch.from_numpy(np.ascontiguousarray(np.moveaxis(index, 0, -1)))
    return np.asarray(sample_at(torch.from_numpy(channels), points, Outside.NEAREST).numpy())


def _widening(mask: Array, spacing_mm: tuple[float, float, float], times: float) -> npt.NDArray[np.float64]:
    """Displacement to the old head on the coarse grid (3, L, P, S), in its voxels.

    Steps of half a millimetre are composed, so that the map stays invertible.
    """
    displacement = ventricle_displacement(mask > 0, spacing_mm)
    grid = np.indices(displacement.shape[1:]).astype(float)
    fine = (DISPLACEMENT_SPACING_MM / np.array(spacing_mm)).reshape(3, 1, 1, 1)
    at = grid + 0.5 * displacement / DISPLACEMENT_SPACING_MM
    shift = np.zeros_like(grid)
    inside = mask.astype(np.float64)[None]
    goal = times * _sampled(inside, grid * fine).sum()
    for _ in range(60):
        shift = at - grid + _sampled(shift, at)
        if _sampled(inside, (grid + shift) * fine).sum() >= goal:
            break
    return shift


def _rescanned(head: Head, seed: int) -> tuple[hd.Volume, Before]:
    """Scan the same head again: turned by 5°, shifted, with new noise (SNR 25)."""
    rng = _rng(100 + seed)
    axis, degrees = seed % 3, 5.0 if seed % 2 else -5.0
    volume, before = _turned(head, axis, degrees, float(rng.uniform(-6, 6)))
    sigma = head.white / 25
    real, imaginary = (sigma * rng.standard_normal(head.array.shape) for _ in range(2))
    return head.with_array(np.hypot(np.asarray(volume.array) + real, imaginary)), before


_PLANES = ("sagittal", "coronal", "axial")
REPEATS = 6

PERTURBATIONS: tuple[Perturbation, ...] = (
    *(
        Perturbation("slice thickness", f"{mm} mm {plane}", partial(_thick, axis=axis, mm=float(mm)))
        for mm in (2, 3, 4, 5)
        for axis, plane in enumerate(_PLANES)
    ),
    *(Perturbation("in-plane", f"{mm} mm", partial(_in_plane, mm=mm)) for mm in (0.5, 0.75, 1.25, 1.5)),
    *(
        Perturbation("rotation", f"{degrees}° about {axis}", partial(_turned, axis=i, degrees=float(degrees)))
        for degrees in (10, 20, 30)
        for i, axis in enumerate(("L", "P", "S"))
    ),
    Perturbation("position", "prone", partial(_stored_as, order=(0, 1, 2), signs=(-1, -1, 1))),
    Perturbation("position", "decubitus", partial(_stored_as, order=(1, 0, 2), signs=(1, -1, 1))),
    *(Perturbation("noise", f"SNR {snr}", partial(_noisy, snr=float(snr))) for snr in (20, 12, 8)),
    *(Perturbation("bias field", f"±{percent} %", partial(_biased, strength=percent / 100)) for percent in (20, 40)),
    Perturbation("contrast", "1.5 T-like", partial(contrast, grey=0.84, fluid=0.3)),
    Perturbation("contrast", "3 T-like", partial(contrast, grey=0.72, fluid=0.2)),
    Perturbation("contrast", "7 T-like, bias ±40 %", partial(contrast, grey=0.62, fluid=0.12, bias=0.4)),
    Perturbation("contrast", "child", partial(contrast, grey=0.9, fluid=0.35)),
    Perturbation("skull", "none", _without_skull),
    Perturbation("field of view", "slab of 90 mm", partial(_cropped, below_mm=50, above_mm=40)),
    *(Perturbation("ghosting", f"{percent} %", partial(_ghosting, strength=percent / 100)) for percent in (5, 10)),
    Perturbation("fat", "3 times as bright", partial(_fat_bright, factor=3.0)),
    Perturbation("gadolinium", "60 bright vessels", partial(_vessels, count=60)),
    Perturbation("ventricles", "3 times their volume", partial(_wide_ventricles, times=3.0)),
    Perturbation("grid", "256 x 256 x 256", partial(_grid_shape, shape=(256, 256, 256))),
    Perturbation("grid", "512 x 512 x 160", partial(_grid_shape, shape=(512, 512, 160))),
    *(Perturbation("test-retest", f"repeat {seed + 1}", partial(_rescanned, seed=seed)) for seed in range(REPEATS)),
)
"""All perturbations, in the order of the table."""
