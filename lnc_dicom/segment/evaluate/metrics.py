"""Segmenter + heads with known labels → Dice, surface distance, offset and volume error per structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lnc_dicom.anatomy import Side
from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.geometry.resampling import resample_labels
from lnc_dicom.segment.evaluate.protocols import LabelProtocol, regions
from lnc_dicom.segment.synthesis.internal_capsule import add_internal_capsule
from lnc_dicom.study.nifti import is_image, read_nifti

_SURFACE_PERCENTILE = 95
_SAME_GRID_MM = 1e-3


@dataclass(frozen=True, slots=True)
class Score:
    """How well one region of one head was segmented. Volumes in mL, distance in mm.

    offset_mm
        Our centroid minus theirs in LPS millimetres; nan if our region is empty.
    """

    name: str
    side: Side
    dice: float
    surface_mm: float
    offset_mm: tuple[float, float, float]
    volume_ml: float
    true_ml: float

    @property
    def volume_error(self) -> float:
        """Relative error of the volume."""
        return self.volume_ml / self.true_ml - 1


def pairs(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Match images to label maps: two files, or two folders of NIfTI or MGH files in the same order of names.

    Raises PathMissing, UnusableInput.
    """
    for path in (images, labels):
        if not path.exists():
            raise PathMissing(f"{path} does not exist")
    if images.is_file() and labels.is_file():
        return [(images, labels)]
    found = [[p for p in sorted(path.glob("*")) if is_image(p)] for path in (images, labels)]
    if not found[0] or len(found[0]) != len(found[1]):
        raise UnusableInput(f"{len(found[0])} images and {len(found[1])} label maps: the numbers must be equal")
    return list(zip(*found, strict=True))


def head_name(image: Path) -> str:
    """Name of a head: that of its file, without suffixes."""
    return image.name.removesuffix(".gz").rpartition(".")[0] or image.name


def read_pair(
    image: Path, labels: Path, protocol: LabelProtocol = LabelProtocol.FREESURFER
) -> tuple[hd.Volume, npt.NDArray[np.int64]]:
    """Read an image (T1) and its labels; the internal capsule is added to FreeSurfer's.

    Labels on another grid are resampled to that of the image (nearest neighbour). Raises UnusableInput if they hold
    no label of the protocol there.
    """
    volume, truth = read_nifti(image), read_nifti(labels)
    upright = truth.to_patient_orientation("LPS")
    known = np.rint(upright.array).astype(np.int64)
    if protocol is LabelProtocol.FREESURFER:
        known = add_internal_capsule(known, upright.spacing)
    labelled = upright.with_array(known.astype(np.int32))
    if volume.geometry_equal(truth, tol=_SAME_GRID_MM):
        known = labelled.match_geometry(truth).array.astype(np.int64)
    else:
        known = resample_labels(labelled, volume.affine, volume.shape).astype(np.int64)
    if not np.isin(known, [n for region in regions(protocol) for n in region.theirs]).any():
        raise UnusableInput(f"{labels.name} has no label of the protocol {protocol} inside {image.name}")
    return volume, known


def compare(
    found: hd.Volume, truth: npt.NDArray[np.int64], protocol: LabelProtocol = LabelProtocol.FREESURFER
) -> list[Score]:
    """Compare our labels with those of a protocol on the same grid."""
    voxel_ml = float(np.prod(found.spacing)) / 1000
    scores = []
    for region in regions(protocol):
        ours, theirs = np.isin(found.array, region.ours), np.isin(truth, region.theirs)
        if not theirs.any():
            continue
        scores.append(
            Score(
                region.name,
                region.side,
                dice(ours, theirs),
                surface_distance_mm(ours, theirs, found.spacing),
                _offset_mm(ours, theirs, found.affine),
                ours.sum() * voxel_ml,
                theirs.sum() * voxel_ml,
            )
        )
    return scores


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Overlap of two masks (Dice 1945); nan where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else math.nan


def _offset_mm(
    ours: npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_], affine: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Our centroid minus theirs, LPS millimetres; nan if ours is empty."""
    if not ours.any():
        return (math.nan, math.nan, math.nan)
    index = np.argwhere(ours).mean(axis=0) - np.argwhere(theirs).mean(axis=0)
    left, posterior, superior = affine[:3, :3] @ index
    return (float(left), float(posterior), float(superior))


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


@dataclass(frozen=True, slots=True)
class MeanScore:
    """Mean scores of one region over sides and heads.

    offset_mm
        Lateral (away from the midline), posterior, superior.
    """

    dice: float
    surface_mm: float
    volume_error: float
    absolute_volume_error: float
    offset_mm: tuple[float, float, float]


def mean_of_sides(scores: Sequence[Score]) -> dict[str, MeanScore]:
    """Mean of the scores per region, over sides and heads."""
    names = dict.fromkeys(score.name for score in scores)
    return {name: _mean([s for s in scores if s.name == name]) for name in names}


def _mean(rows: Sequence[Score]) -> MeanScore:
    outwards = [(s.offset_mm[0] * (1 if s.side is Side.LEFT else -1), *s.offset_mm[1:]) for s in rows]
    lateral, posterior, superior = np.mean(outwards, axis=0)
    return MeanScore(
        float(np.mean([s.dice for s in rows])),
        float(np.mean([s.surface_mm for s in rows])),
        float(np.mean([s.volume_error for s in rows])),
        float(np.mean([abs(s.volume_error) for s in rows])),
        (float(lateral), float(posterior), float(superior)),
    )


COLUMNS = ("structure", "Dice", "95 % surface mm", "lateral mm", "posterior mm", "superior mm", "volume error %")
"""Column titles of `rows`. The offset of the centroid is ours minus theirs."""


def rows(scores: Sequence[Score]) -> list[list[str]]:
    """Table with the columns `COLUMNS`: the mean of the scores, a row per region."""
    return [
        [
            name,
            f"{mean.dice:.3f}",
            f"{mean.surface_mm:.2f}",
            *(f"{mm:+.1f}" for mm in mean.offset_mm),
            f"{100 * mean.volume_error:+.1f}",
        ]
        for name, mean in mean_of_sides(scores).items()
    ]
