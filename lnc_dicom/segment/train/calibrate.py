"""Held-out label maps + a trained segmenter → its calibration, and how well it did.

Whole heads are synthesised at 1 mm from label maps that were not trained on and go through the whole segmenter, so
what is measured here is what a study will get, as far as synthetic heads are like real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
import numpy.typing as npt

from lnc_dicom.anatomy import MIRRORED_LABELS, STRUCTURES
from lnc_dicom.errors import StudyRejected, UnusableInput
from lnc_dicom.segment.calibration import Calibration
from lnc_dicom.segment.evaluate.metrics import dice
from lnc_dicom.segment.pose import Constellation
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.segment.synthesis.config import Recipe
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette
from lnc_dicom.segment.synthesis.rng import Draw
from lnc_dicom.segment.synthesis.synthesise import synthesise

WHOLE_HEAD = Recipe(
    shape=(176, 216, 192),
    spacing_mm=1.0,
    stride=1,
    centre_low_mm=(-5.0, 5.0, -5.0),
    centre_high_mm=(5.0, 15.0, 15.0),
    rotation_deg=6.0,
    scale=0.08,
    shear=0.03,
    whole_regions=False,
    cut_chance=0.0,
)
"""A whole head as it comes from the scanner."""
SEED = 2_000_000_011
"""Far from the seeds of training and validation."""
LEVEL = 0.90
"""Of the volume intervals."""
_BOOTSTRAPS = 2000


@dataclass(frozen=True, slots=True)
class Trial:
    """One structure of one synthetic head, found against true. `spread` as in `Sign`."""

    head: str
    name: str
    dice: float
    volume_ml: float
    true_ml: float
    spread: float

    @property
    def needed(self) -> float:
        """Per unit of spread, how wide the interval had to be to hold the true volume."""
        if self.volume_ml == 0:
            return math.inf
        return abs(math.log(self.true_ml / self.volume_ml)) / max(self.spread, 1e-6)


def constellation(heads: Sequence[LabelMap], palette: Palette) -> Constellation:
    """Mean centroids of all structures but the ventricles, relative to the deep grey matter, made symmetric."""
    wanted = [s for s in STRUCTURES if s.name != "lateral ventricle"]
    sums = {s.label: np.zeros(3) for s in wanted}
    for head in heads:
        for s in wanted:
            index = np.argwhere(head.codes == palette.code(s.freesurfer)).mean(axis=0)
            sums[s.label] += (index - head.centre) * head.spacing_mm / len(heads)
    mirror = np.array([-1.0, 1.0, 1.0])
    return {n: (point + mirror * sums[MIRRORED_LABELS[n]]) / 2 for n, point in sums.items()}


def run_trials(
    segmenter: NetworkSegmenter,
    heads: Sequence[LabelMap],
    palette: Palette,
    images: int,
    tell: Callable[[int], None],
) -> tuple[list[Trial], npt.NDArray[np.float64]]:
    """Synthesise so many images, the heads in turn; return the trials and the features (images, 2 x channels).

    Raises UnusableInput where the segmenter refuses them all.
    """
    trials: list[Trial] = []
    features = []
    for i in range(images):
        head = heads[i % len(heads)]
        image, target = synthesise(head, palette, WHOLE_HEAD, Draw(SEED + i))
        volume = hd.Volume(image[0].numpy(), np.eye(4), coordinate_system="PATIENT")
        try:
            segmented, found = segmenter.inspect(volume)
        except StudyRejected:  # an image that would be refused says nothing about numbers that are given
            continue
        features.append(found)
        truth = target.argmax(0).numpy()
        for s in STRUCTURES:
            ours, theirs = segmented.labels.array == s.label, truth == s.label
            sign = segmented.confidence.get(s.label)
            true_ml = float(target[s.label].float().sum()) / 1000
            overlap = dice(ours, theirs)
            trials.append(Trial(head.name, s.name, overlap, ours.sum() / 1000, true_ml, sign.spread if sign else 1.0))
        tell(i + 1)
    if not features:
        raise UnusableInput(f"none of {images} synthetic heads could be segmented: the networks need more steps")
    return trials, np.array(features)


def fit_calibration(
    points_mm: Constellation, trials: Sequence[Trial], features: npt.NDArray[np.float64]
) -> Calibration:
    """Fit the volume intervals by split conformal prediction, one factor per structure, both sides together."""
    names = dict.fromkeys(s.name for s in STRUCTURES)
    by_name = {name: [t for t in trials if t.name == name] for name in names}
    return Calibration(
        points_mm,
        features.mean(0),
        np.maximum(features.std(0), 1e-4),
        {name: _factor(rows) for name, rows in by_name.items()},
        {name: _coverage(rows) for name, rows in by_name.items()},
        len(features),
    )


def _factor(trials: Sequence[Trial]) -> float:
    """Smallest factor with which `LEVEL` of the trials, counted conformally, hold the truth."""
    needed = sorted(t.needed for t in trials)
    rank = min(len(needed), math.ceil(LEVEL * (len(needed) + 1)))
    return needed[rank - 1]


def _coverage(trials: Sequence[Trial]) -> float:
    """Share of the trials in the interval, each head judged with the factor of the others."""
    heads = sorted({t.head for t in trials})
    if len(heads) < 2:  # noqa: PLR2004 - nobody to judge by
        return math.nan
    held = [
        t.needed <= factor
        for head in heads
        for factor in [_factor([t for t in trials if t.head != head])]
        for t in trials
        if t.head == head
    ]
    return float(np.mean(held))


def dice_with_interval(trials: Sequence[Trial], name: str) -> tuple[float, float, float]:
    """Mean Dice of a structure with its 95 % interval: bootstrap of heads, then of their images."""
    heads = sorted({t.head for t in trials})
    by_head = [np.array([t.dice for t in trials if t.head == head and t.name == name]) for head in heads]
    chance = np.random.default_rng(0)
    means = []
    for _ in range(_BOOTSTRAPS):
        chosen = [by_head[i] for i in chance.integers(len(by_head), size=len(by_head))]
        means.append(np.mean(np.concatenate([chance.choice(rows, len(rows)) for rows in chosen])))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(np.mean(np.concatenate(by_head))), float(low), float(high)
