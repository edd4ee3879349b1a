"""Volume + labels → one number per gate, with the limits that it has to keep.

A structure fails with the first gate that it does not pass, a study likewise. The limits were chosen on real heads,
held-out synthetic heads and images that are not T1 heads; docs/reference/quality.md lists them. A number that cannot
be computed (nan) does not pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage

from lnc_dicom.anatomy import MIRRORED_LABELS, STRUCTURES, Structure
from lnc_dicom.errors import (
    Implausible,
    NotAligned,
    NotMeasured,
    NotT1Contrast,
    OffTheHead,
    PoorImage,
    StudyRejected,
    UnlikeHead,
    WrongPose,
)
from lnc_dicom.types import Check, Confidence, Segmented


@dataclass(frozen=True, slots=True)
class Gate:
    """Limits of a number; `refusal` is the error of a study or map that breaks them (None: the structure fails)."""

    code: str
    name: str
    low: float
    high: float
    refusal: type[StudyRejected | NotMeasured] | None = None

    def check(self, value: float, low: float | None = None, high: float | None = None) -> Check:
        """Check a number; `low` and `high` replace the limits of the gate."""
        return Check(
            self.code, self.name, float(value), self.low if low is None else low, self.high if high is None else high
        )


WHITE_TO_GREY = Gate("LNC-501", "white matter above grey matter", 0.02, math.inf, NotT1Contrast)
GREY_TO_FLUID = Gate("LNC-502", "grey matter above fluid", 0.15, math.inf, NotT1Contrast)
CONTRAST_TO_NOISE = Gate("LNC-503", "contrast to noise", 1.0, math.inf, PoorImage)
EDGE_WIDTH = Gate("LNC-504", "width of edges in mm", 0.0, 8.0, PoorImage)
FEATURE_DISTANCE = Gate("LNC-505", "distance from training images", 0.0, 3.0, UnlikeHead)
MISFIT = Gate("LNC-506", "misfit of the arrangement in mm", 0.0, 4.0, UnlikeHead)
SCALE = Gate("LNC-507", "size against the training heads", 0.7, 1.4, UnlikeHead)
TURN = Gate("LNC-508", "rotation of the head in degrees", 0.0, 45.0, WrongPose)
STUDY_GATES = (WHITE_TO_GREY, GREY_TO_FLUID, CONTRAST_TO_NOISE, EDGE_WIDTH, FEATURE_DISTANCE, MISFIT, SCALE, TURN)

FOUND = Gate("LNC-511", "voxels found", 1, math.inf)
EDGE_VOXELS = Gate("LNC-512", "voxels on the edge of the images", 0, 0)
PROBABILITY = Gate("LNC-513", "mean probability", 0.75, 1.0)
ENTROPY = Gate("LNC-514", "mean entropy in bits", 0.0, 0.9)
MIRROR = Gate("LNC-515", "agreement with the mirrored inference", 0.7, 1.0)
LARGEST_COMPONENT = Gate("LNC-516", "share of the largest component", 0.9, 1.0)
VOLUME = Gate("LNC-517", "volume in mL", 0.0, math.inf)
Z_SCORE = Gate("LNC-518", "volume in SD from the mean of adults", -4.5, 6.5)
ASYMMETRY = Gate("LNC-519", "difference between left and right over their mean", 0.0, 0.4)
STRUCTURE_GATES = (FOUND, EDGE_VOXELS, PROBABILITY, ENTROPY, MIRROR, LARGEST_COMPONENT, VOLUME, Z_SCORE, ASYMMETRY)

GATES = (*STUDY_GATES, *STRUCTURE_GATES)
"""Gates of the study and of its structures, in the order in which they are checked."""

MAX_ASYMMETRY = {"pallidum": 0.8, "accumbens": 0.8, "lateral ventricle": 1.6}
"""Limits of `ASYMMETRY` for structures whose sides differ more in healthy people."""

MIN_PROBABILITY = {"accumbens": 0.6}
MAX_ENTROPY = {"accumbens": 1.2}
"""Limits of `PROBABILITY` and `ENTROPY` for the one structure that is mostly border."""

INFORMATION = Gate("LNC-521", "mutual information of T1 and registration image in nats", 0.28, math.inf, NotAligned)
TURN_OF_MAP = Gate("LNC-522", "rotation of the map against its header in degrees", 0.0, 10.0, NotAligned)
SHIFT = Gate("LNC-523", "shift of the map against its header in mm", 0.0, 15.0, NotAligned)
COVERED = Gate("LNC-524", "share of the structures that the map covers", 0.5, 1.0, OffTheHead)
CAPSULE_FA = Gate("LNC-525", "FA of the internal capsule", 0.3, 0.9, Implausible)
CAPSULE_ABOVE_GREY = Gate("LNC-526", "FA of the internal capsule above caudate and putamen", 0.1, 1.0, Implausible)
GREY_CBF = Gate("LNC-527", "CBF of caudate, putamen and thalamus", 5.0, 150.0, Implausible)
MAP_GATES = (INFORMATION, TURN_OF_MAP, SHIFT, COVERED, CAPSULE_FA, CAPSULE_ABOVE_GREY, GREY_CBF)
"""Gates of a map. A map that breaks one is not used; the study goes on without it."""
MIN_INFORMATION_OF_MAP = 0.15
"""Limit of `INFORMATION` where the map itself is registered to the T1, because there is no b = 0 or M0 image."""

FA_OVER_NOISE = Gate("LNC-433", "FA over the FA that noise alone gives", 1.0, math.inf)
VOXELS_OF_MAP = Gate("LNC-436", "voxels of the map in the structure", 5, math.inf)
FLOW_ABOVE_ZERO = Gate("LNC-437", "mean flow", 0.0, math.inf)
SIDES_OF_MAP = Gate("LNC-438", "difference between left and right over their mean, in a map", 0.0, 0.6)
SPREAD_OF_MAP = Gate("LNC-439", "SD of the voxels over their mean, in a map", 0.0, 1.5)
FLUID_FA = Gate("LNC-528", "FA of fluid", 0.0, 0.3)
REGION_GATES = (VOXELS_OF_MAP, FLOW_ABOVE_ZERO, FLUID_FA, SPREAD_OF_MAP, FA_OVER_NOISE, SIDES_OF_MAP)
"""Gates of one number of a map in one structure, which is not given where it breaks one; the others are."""

_MIN_TISSUE_VOXELS = 50
_WHITE, _GREY, _FLUID = ("internal capsule",), ("caudate", "putamen"), ("lateral ventricle",)


def check_study(volume: Volume, segmented: Segmented) -> tuple[Check, ...]:
    """Check the images as a whole. `volume` and the labels lie on the same grid."""
    box = _box(segmented.labels.array)
    image, labels = np.asarray(volume.array[box], np.float32), segmented.labels.array[box]
    white, grey, fluid = (_median(image, labels, names) for names in (_WHITE, _GREY, _FLUID))
    pose = segmented.pose
    return (
        WHITE_TO_GREY.check((white - grey) / abs(white) if white else math.nan),
        GREY_TO_FLUID.check((grey - fluid) / abs(white) if white else math.nan),
        CONTRAST_TO_NOISE.check((white - grey) / max(_noise(image, labels), 1e-6)),
        EDGE_WIDTH.check(_edge_width_mm(image, labels, volume.spacing, grey - fluid)),
        FEATURE_DISTANCE.check(segmented.feature_distance),
        MISFIT.check(pose.misfit_mm if pose else math.nan),
        SCALE.check(pose.scale if pose else math.nan),
        TURN.check(pose.turn_deg if pose else math.nan),
    )


def check_structures(segmented: Segmented) -> dict[int, tuple[Check, ...]]:
    """Check every structure; the results by label."""
    labels = segmented.labels.array
    counts = np.bincount(labels.ravel(), minlength=len(STRUCTURES) + 1)
    edge = _edge_counts(labels, len(counts))
    voxel_ml = segmented.labels.voxel_volume / 1000.0
    checks = {}
    for s in STRUCTURES:
        other = counts[MIRRORED_LABELS[s.label]]
        confidence = segmented.confidence.get(s.label, Confidence(0.0, math.nan, 0.0, 0.0))
        checks[s.label] = (
            FOUND.check(int(counts[s.label])),
            EDGE_VOXELS.check(int(edge[s.label])),
            PROBABILITY.check(confidence.probability, low=MIN_PROBABILITY.get(s.name)),
            ENTROPY.check(confidence.entropy, high=MAX_ENTROPY.get(s.name)),
            MIRROR.check(confidence.mirror_dice),
            LARGEST_COMPONENT.check(confidence.largest_component),
            *_volume_checks(s, int(counts[s.label]) * voxel_ml, int(other) * voxel_ml),
        )
    return checks


def _volume_checks(structure: Structure, volume_ml: float, other_ml: float) -> tuple[Check, ...]:
    """Check a volume against hard limits, against the population where there is a norm, and against the other side."""
    checks = [VOLUME.check(volume_ml, *structure.plausible_ml)]
    if structure.norm_ml is not None and structure.norm_sd_ml is not None:
        checks.append(Z_SCORE.check((volume_ml - structure.norm_ml) / structure.norm_sd_ml))
    if other_ml:  # a missing side fails by itself, not the side that was found
        difference = abs(volume_ml - other_ml) / ((volume_ml + other_ml) / 2)
        checks.append(ASYMMETRY.check(difference, high=MAX_ASYMMETRY.get(structure.name)))
    return tuple(checks)


def _box(labels: npt.NDArray[np.uint8]) -> tuple[slice, ...]:
    """Give the labelled part of the grid with a border of two voxels; the whole grid where nothing is labelled."""
    found = ndimage.find_objects((labels > 0).astype(np.uint8))
    if not found:
        return tuple(slice(None) for _ in labels.shape)
    return tuple(slice(max(0, s.start - 2), s.stop + 2) for s in found[0])


def _mask(labels: npt.NDArray[np.uint8], names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    return np.isin(labels, [s.label for s in STRUCTURES if s.name in names])


def _median(image: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], names: tuple[str, ...]) -> float:
    values = image[_mask(labels, names)]
    return float(np.median(values)) if values.size >= _MIN_TISSUE_VOXELS else math.nan


def _noise(image: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> float:
    """Estimate the SD of the noise from differences of neighbouring voxels of one label, along the noisiest axis."""
    tissue = _mask(labels, (*_WHITE, *_GREY, "thalamus"))
    worst = 0.0
    for axis in range(3):
        near, far = (np.moveaxis(a, axis, 0) for a in (image, labels))
        same = (far[1:] == far[:-1]) & np.moveaxis(tissue, axis, 0)[1:]
        steps = np.abs(near[1:][same] - near[:-1][same])
        if steps.size:
            worst = max(worst, 1.4826 * float(np.median(steps)) / math.sqrt(2))
    return worst


def _edge_width_mm(
    image: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], spacing_mm: tuple[float, ...], step: float
) -> float:
    """Estimate how far the walls of the ventricles are blurred: the step in intensity over its steepest gradient."""
    fluid = _mask(labels, _FLUID)
    wall = fluid & ~ndimage.binary_erosion(fluid)
    if int(wall.sum()) < _MIN_TISSUE_VOXELS:
        return math.nan
    steepness = np.sqrt(sum(g**2 for g in np.gradient(image, *spacing_mm)))[wall]
    return step / max(float(np.percentile(steepness, 75)), 1e-6)


def _edge_counts(labels: npt.NDArray[np.uint8], length: int) -> npt.NDArray[np.int64]:
    """Count the voxels of every label in the outermost planes of the grid: the structure may go on outside."""
    faces = [labels.take(i, axis) for axis in range(labels.ndim) for i in (0, -1)]
    return np.asarray(np.sum([np.bincount(face.ravel(), minlength=length) for face in faces], axis=0), np.int64)
