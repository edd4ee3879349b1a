"""One head, spoiled in many ways → how far the result strays from that of the unspoiled head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
import numpy.typing as npt

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import StudyRejected
from lnc_dicom.segment.evaluate.metrics import dice
from lnc_dicom.segment.evaluate.perturbations import EXPERIMENTS, Experiment, Head
from lnc_dicom.study.load import sample_labels
from lnc_dicom.tools import Segmenter

_VENTRICLES = (4, 43)
_GREY = (11, 50, 12, 51)
_NO_BRAIN = (0, 24)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one experiment did to the result, by name of a structure, mean of left and right.

    dice
        Against the labels of the unspoiled head, brought along.
    volume_change
        Relative, against the volume of those labels; its sign is kept.
    refused
        Code of the refusal, or empty.
    """

    name: str
    setting: str
    dice: dict[str, float]
    volume_change: dict[str, float]
    refused: str = ""


def describe(volume: hd.Volume, truth: npt.NDArray[np.int64]) -> Head:
    """Find brain, ventricles and tissue intensities of a head from its FreeSurfer labels, on upright axes."""
    upright = volume.to_patient_orientation("LPS")
    labels = volume.with_array(truth.astype(np.int32)).to_patient_orientation("LPS").array
    capsule = [s.freesurfer for s in STRUCTURES if s.name == "internal capsule"]
    fluid, grey, white = (
        float(np.median(upright.array[np.isin(labels, chosen)])) for chosen in (_VENTRICLES, _GREY, capsule)
    )
    return Head(upright, ~np.isin(labels, _NO_BRAIN), np.isin(labels, _VENTRICLES), fluid, grey, white)


def run_experiments(
    segmenter: Segmenter,
    head: Head,
    tell: Callable[[str, str], None],
    experiments: Sequence[Experiment] = EXPERIMENTS,
) -> list[Outcome]:
    """Spoil, segment and compare, one experiment after the other."""
    reference = segmenter(head.volume).labels
    outcomes = []
    for experiment in experiments:
        tell(experiment.name, experiment.setting)
        spoiled, before = experiment.spoil(head)
        try:
            found = segmenter(spoiled).labels
        except StudyRejected as error:
            outcomes.append(Outcome(experiment.name, experiment.setting, {}, {}, error.code))
            continue
        expected = sample_labels(reference, found.affine, found.shape, before)
        outcomes.append(_compare(experiment, found, expected, reference))
    return outcomes


def _compare(
    experiment: Experiment, found: hd.Volume, expected: npt.NDArray[np.generic], reference: hd.Volume
) -> Outcome:
    """Dice on the new grid; volumes against the unspoiled head's, or the brought along where the head was changed."""
    overlap, change = {}, {}
    changed = experiment.name == "ventricles"
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
    return Outcome(experiment.name, experiment.setting, overlap, change)
