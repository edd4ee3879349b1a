"""Small parts that tests are made of: heads, series on disk, and a segmenter that needs no network."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations, product
from pathlib import Path

import highdicom as hd
import numpy as np

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.predictions import Model
from lnc_dicom.types import Confidence, Pose, Segmented
from lnc_service.demo.sample import mr_series

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MODEL = Model("boxes", "1", "0" * 64)

LAYOUTS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
"""All 48 ways in which the axes of an array can lie along L, P, S."""

_BOX_MM = {
    "caudate": 15,
    "putamen": 17,
    "pallidum": 12.5,
    "thalamus": 19,
    "accumbens": 8,
    "lateral ventricle": 21,
    "internal capsule": 15,
}
_HEIGHT_MM = {name: 21 * (row - 3) for row, name in enumerate(_BOX_MM)}
_BRIGHTNESS = {"lateral ventricle": 0.1, "internal capsule": 1.0}
POSE = Pose(1.0, 1.0, 1.0)


def boxes(shape, lps_mm):
    """Masks of a cube of plausible size for every structure around the middle of a grid, left on the left."""
    middle = (np.array(shape) - 1) / 2
    for s in STRUCTURES:
        centre_mm = [14 if s.side is Side.LEFT else -14, 0, _HEIGHT_MM[s.name]]
        inside = np.ones(shape, bool)
        for row, centre in zip(lps_mm[:3, :3], centre_mm, strict=True):
            i, j, k = (row[a] * (np.arange(n) - middle[a]) for a, n in enumerate(shape))
            place = i[:, None, None] + j[:, None] + k - centre
            inside &= np.abs(place) <= _BOX_MM[s.name] / 2
        yield s, inside


class BoxSegmenter:
    """Labels the boxes of a head that `head` made."""

    model = MODEL

    def __call__(self, volume: hd.Volume, /) -> Segmented:
        labels = np.zeros(volume.shape, np.uint8)
        for s, inside in boxes(volume.shape, volume.affine):
            labels[inside] = s.label
        signs = {s.label: Confidence(0.9, volume_error=0.1) for s in STRUCTURES}
        return Segmented(volume.with_array(labels), signs, POSE)


def layout(array: np.ndarray, lps_mm: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...]):
    """Turn array and affine to one of the layouts: the same voxels, stored along other axes."""
    flips = tuple(slice(None, None, s) for s in signs)
    turned = array.transpose(order)[flips]
    affine = lps_mm[:, [*order, 3]].copy()
    for axis, sign in enumerate(signs):
        if sign < 0:
            affine[:3, 3] += affine[:3, axis] * (turned.shape[axis] - 1)
            affine[:3, axis] *= -1
    return np.ascontiguousarray(turned), affine


def head(shape=(64, 72, 80), spacing_mm=(2.0, 1.75, 2.0)):
    """A smooth asymmetric blob with a box for every structure, axes (L, P, S), and its affine."""
    axes = [np.linspace(-1, 1, n) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    array = np.exp(-2 * (x**2 + y**2 + z**2)) * (1 + 0.3 * x - 0.2 * y + 0.1 * z)
    lps_mm = np.diag([*spacing_mm, 1.0])
    lps_mm[:3, 3] = -(np.array(shape) - 1) / 2 * spacing_mm + [3.0, -5.0, 7.0]
    for s, inside in boxes(shape, lps_mm):
        array[inside] = _BRIGHTNESS.get(s.name, 0.7)
    return array.astype(np.float32), lps_mm


def phantom(shape=(100, 100, 100), spacing_mm=1.9):
    """A bottle of fluid with a smaller one inside, axes (L, P, S), and its affine."""
    axes = [np.linspace(-1, 1, n) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    bottle = (x**2 + y**2 < 0.6) & (np.abs(z) < 0.7)
    inner = (x - 0.2) ** 2 + y**2 < 0.05
    noise = np.random.default_rng(1).normal(0, 0.02, shape)
    lps_mm = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    return np.abs(bottle * (1 - 0.4 * inner) + noise).astype(np.float32), lps_mm


def write_series(folder: Path, array=None, lps_mm=None, change=lambda dataset: None, **kwargs) -> list[Path]:
    """Write a T1 series to a folder; `change` may spoil every dataset first."""
    if array is None:
        array, lps_mm = head()
        array, lps_mm = layout(array, lps_mm, (2, 1, 0), (1, 1, 1))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, dataset in enumerate(mr_series(array, lps_mm, NOW, **kwargs)):
        change(dataset)
        paths.append(folder / f"{i:04d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths
