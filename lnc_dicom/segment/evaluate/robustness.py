"""One head, perturbed in many ways → how far the result differs from that of the original head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
import numpy.typing as npt

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import StudyRejected
from lnc_dicom.geometry.resampling import resample_labels
from lnc_dicom.predictions import freeze
from lnc_dicom.segment.evaluate.metrics import dice
from lnc_dicom.segment.evaluate.perturbations import PERTURBATIONS, Head, Perturbation
from lnc_dicom.tools import Segmenter

_VENTRICLES = (4, 43)
_GREY = (11, 50, 12, 51)
_NO_BRAIN = (0, 24)


@dataclass(frozen=True, slots=True)
class RobustnessResult:
    """The effect of one perturbation on the result, by name of a structure, mean of left and right.

    dice
        Against the labels of the original head, resampled to the new one.
    volume_change
        Signed, relative to the volume of those labels.
    refused
        Code of the error if the head was refused, else empty.
    """

    name: str
    setting: str
    dice: Mapping[str, float]
    volume_change: Mapping[str, float]
    refused: str = ""

    def __post_init__(self) -> None:
        """Make the tables read-only."""
        freeze(self, "dice", "volume_change")


def describe(volume: hd.Volume, truth: npt.NDArray[np.int64]) -> Head:
    """Derive brain, ventricles and tissue intensities of a head from its FreeSurfer labels; axes (L, P, S)."""
    upright = volume.to_patient_orientation("LPS")
    labels = volume.with_array(truth.astype(np.int32)).to_patient_orientation("LPS").array
    capsule = [s.freesurfer for s in STRUCTURES if s.name == "internal capsule"]
    fluid, grey, white = (
        float(np.median(upright.array[np.isin(labels, chosen)])) for chosen in (_VENTRICLES, _GREY, capsule)
    )
    return Head(upright, ~np.isin(labels, _NO_BRAIN), np.isin(labels, _VENTRICLES), fluid, grey, white)


def run_perturbations(
    segmenter: Segmenter,
    head: Head,
    on_start: Callable[[str, str], None],
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
) -> list[RobustnessResult]:
    """Perturb, segment and compare, one perturbation after the other; `on_start(name, setting)` before each."""
    reference = segmenter(head.volume).labels
    results = []
    for perturbation in perturbations:
        on_start(perturbation.name, perturbation.setting)
        perturbed, before = perturbation.apply(head)
        try:
            found = segmenter(perturbed).labels
        except StudyRejected as error:
            results.append(RobustnessResult(perturbation.name, perturbation.setting, {}, {}, error.code))
            continue
        expected = resample_labels(reference, found.affine, found.shape, before)
        results.append(_compare(perturbation, found, expected, reference))
    return results


def _compare(
    perturbation: Perturbation, found: hd.Volume, expected: npt.NDArray[np.generic], reference: hd.Volume
) -> RobustnessResult:
    """Dice on the new grid; volumes against the original head's, or the resampled labels' where its shape changed."""
    overlap, change = {}, {}
    changed = perturbation.name == "ventricles"
    for name in dict.fromkeys(s.name for s in STRUCTURES):
        overlaps, changes = [], []
        for s in (s for s in STRUCTURES if s.name == name):
            ours, theirs = found.array == s.label, expected == s.label
            overlaps.append(dice(ours, theirs))
            true_ml = (
                theirs.sum() * found.voxel_volume
                if changed
                else (reference.array == s.label).sum() * reference.voxel_volume
            )
            changes.append(ours.sum() * found.voxel_volume / true_ml - 1 if true_ml else np.nan)
        overlap[name], change[name] = float(np.mean(overlaps)), float(np.mean(changes))
    return RobustnessResult(perturbation.name, perturbation.setting, overlap, change)
