"""Segmenter + heads with known labels → Dice, surface distance and volume error per structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from lnc_dicom.anatomy import STRUCTURES, Structure
from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.geometry.resampling import resample_labels
from lnc_dicom.segment.synthesis.internal_capsule import add_internal_capsule

_SURFACE_PERCENTILE = 95
_SAME_GRID_MM = 1e-3


@dataclass(frozen=True, slots=True)
class Score:
    """How well one structure of one head was segmented. Volumes in mL, distance in mm."""

    structure: Structure
    dice: float
    surface_mm: float
    volume_ml: float
    true_ml: float

    @property
    def volume_error(self) -> float:
        """Relative error of the volume."""
        return self.volume_ml / self.true_ml - 1


def pairs(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Match images to label maps: two files, or two folders of NIfTI files in the same order of names.

    Raises PathMissing, UnusableInput.
    """
    for path in (images, labels):
        if not path.exists():
            raise PathMissing(f"{path} does not exist")
    if images.is_file() and labels.is_file():
        return [(images, labels)]
    found = [sorted(path.glob("*.nii*")) for path in (images, labels)]
    if not found[0] or len(found[0]) != len(found[1]):
        raise UnusableInput(f"{len(found[0])} images and {len(found[1])} label maps: the numbers must be equal")
    return list(zip(*found, strict=True))


def read_pair(image: Path, labels: Path) -> tuple[hd.Volume, npt.NDArray[np.int64]]:
    """Read an image (NIfTI, T1) and its labels (NIfTI, FreeSurfer); the internal capsule is added.

    Labels on another grid are resampled to that of the image (nearest neighbour). Raises UnusableInput if they hold
    none of our structures there.
    """
    volume, truth = read_nifti(image), read_nifti(labels)
    known = add_internal_capsule(np.rint(truth.array).astype(np.int64), truth.spacing)
    if not volume.geometry_equal(truth, tol=_SAME_GRID_MM):
        on_image = resample_labels(truth.with_array(known.astype(np.int32)), volume.affine, volume.shape)
        known = on_image.astype(np.int64)
    if not np.isin(known, [s.freesurfer for s in STRUCTURES]).any():
        raise UnusableInput(f"{labels.name} has no FreeSurfer label of our structures inside {image.name}")
    return volume, known


def read_nifti(path: Path) -> hd.Volume:
    """Read a NIfTI file as float32 volume in LPS."""
    image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    return hd.Volume.from_simpleitk(image, coordinate_system="PATIENT")


def compare(found: npt.NDArray[np.uint8], truth: npt.NDArray[np.int64], spacing_mm: Sequence[float]) -> list[Score]:
    """Compare our labels with FreeSurfer labels on the same grid."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    scores = []
    for s in STRUCTURES:
        ours, theirs = found == s.label, truth == s.freesurfer
        if not theirs.any():
            continue
        distance = surface_distance_mm(ours, theirs, spacing_mm)
        scores.append(Score(s, dice(ours, theirs), distance, ours.sum() * voxel_ml, theirs.sum() * voxel_ml))
    return scores


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Overlap of two masks (Dice 1945); nan where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else math.nan


def surface_distance_mm(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_], spacing_mm: Sequence[float]) -> float:
    """95th percentile of the distances between two surfaces, both ways; infinite where one is empty."""
    if not a.any() or not b.any():
        return float("inf")
    box = ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = (np.pad(mask[box], 1) for mask in (a, b))
    rim_a, rim_b = (mask & ~ndimage.binary_erosion(mask) for mask in (a, b))
    to_b = ndimage.distance_transform_edt(~rim_b, sampling=spacing_mm)[rim_a]
    to_a = ndimage.distance_transform_edt(~rim_a, sampling=spacing_mm)[rim_b]
    return float(np.percentile(np.concatenate([to_a, to_b]), _SURFACE_PERCENTILE))


def mean_of_sides(scores: Sequence[Score]) -> dict[str, tuple[float, float, float]]:
    """Dice, surface distance and absolute volume error per structure, mean over sides and heads."""
    names = dict.fromkeys(score.structure.name for score in scores)
    chosen = {name: [s for s in scores if s.structure.name == name] for name in names}
    return {
        name: (
            float(np.mean([s.dice for s in rows])),
            float(np.mean([s.surface_mm for s in rows])),
            float(np.mean([abs(s.volume_error) for s in rows])),
        )
        for name, rows in chosen.items()
    }
