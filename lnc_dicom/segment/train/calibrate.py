"""Held-out label maps + a trained segmenter → its calibration and its accuracy.

Whole heads are synthesised at 1 mm from label maps that were not trained on and go through the whole segmenter, so
the errors measured here are those of a study, as far as synthetic heads are like real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
import numpy.typing as npt

from lnc_dicom.anatomy import MIRRORED_LABELS, STRUCTURES
from lnc_dicom.conformal import conformal_quantile
from lnc_dicom.errors import StudyRejected, UnusableInput
from lnc_dicom.segment.calibration import VolumeCalibration
from lnc_dicom.segment.evaluate.metrics import dice
from lnc_dicom.segment.pose import Constellation
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.segment.synthesis.config import SynthesisConfig
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.segment.synthesis.synthesise import synthesise

WHOLE_HEAD = SynthesisConfig(
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
"""A whole head with the field of view of a scan."""
SEED = 2_000_000_011
"""Far from the seeds of training and validation: no image is used twice."""
LEVEL = 0.90
"""Coverage of the volume intervals."""
_BOOTSTRAPS = 2000


@dataclass(frozen=True, slots=True)
class Trial:
    """One structure of one synthetic head: the segmentation against the truth. `spread` as in `Confidence`."""

    head: str
    name: str
    dice: float
    volume_ml: float
    true_ml: float
    spread: float

    @property
    def factor_needed(self) -> float:
        """Smallest factor on the spread with which the interval would hold the true volume."""
        if self.volume_ml == 0:
            return math.inf
        return abs(math.log(self.true_ml / self.volume_ml)) / max(self.spread, 1e-6)


def constellation(heads: Sequence[LabelMap], palette: Palette) -> Constellation:
    """Mean centroid of every structure but the ventricles, LPS mm from the deep grey matter, made symmetric."""
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
    on_image: Callable[[int], None],
) -> tuple[list[Trial], npt.NDArray[np.float64]]:
    """Synthesise and segment images, the heads in turn; `on_image(number)` after each.

    Returns the trials and the features (images, 2 x channels). Raises UnusableInput if all images are refused.
    """
    trials: list[Trial] = []
    features = []
    for i in range(images):
        head = heads[i % len(heads)]
        image, target = synthesise(head, palette, WHOLE_HEAD, Rng(SEED + i))
        volume = hd.Volume(image[0].numpy(), np.eye(4), coordinate_system="PATIENT")
        try:
            segmented, found = segmenter.inspect(volume)
        except StudyRejected:  # a refused image has no volumes that an interval could be wrong about
            continue
        features.append(found)
        truth = target.argmax(0).numpy()
        for s in STRUCTURES:
            ours, theirs = segmented.labels.array == s.label, truth == s.label
            confidence = segmented.confidence.get(s.label)
            true_ml = float(target[s.label].float().sum()) / 1000
            spread = confidence.spread if confidence else 1.0
            overlap = dice(ours, theirs)
            trials.append(Trial(head.name, s.name, overlap, ours.sum() / 1000, true_ml, spread))
        on_image(i + 1)
    if not features:
        raise UnusableInput(f"none of {images} synthetic heads could be segmented: the networks need more steps")
    return trials, np.array(features)


def fit_calibration(
    points_mm: Constellation, trials: Sequence[Trial], features: npt.NDArray[np.float64]
) -> VolumeCalibration:
    """Fit the volume intervals by split conformal prediction, one factor per structure, both sides together."""
    names = dict.fromkeys(s.name for s in STRUCTURES)
    by_name = {name: [t for t in trials if t.name == name] for name in names}
    return VolumeCalibration(
        points_mm,
        features.mean(0),
        np.maximum(features.std(0), 1e-4),
        {name: _factor(rows) for name, rows in by_name.items()},
        {name: _coverage(rows) for name, rows in by_name.items()},
        len(features),
    )


def _factor(trials: Sequence[Trial]) -> float:
    """Split-conformal factor with which `LEVEL` of new trials hold the true volume."""
    return float(conformal_quantile([t.factor_needed for t in trials], LEVEL))


def _coverage(trials: Sequence[Trial]) -> float:
    """Share of the trials whose interval holds the truth, with the factor fitted on the other heads."""
    heads = sorted({t.head for t in trials})
    if len(heads) < 2:  # noqa: PLR2004 - there are no others
        return math.nan
    held = [
        t.factor_needed <= factor
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
    rng = np.random.default_rng(0)
    means = []
    for _ in range(_BOOTSTRAPS):
        chosen = [by_head[i] for i in rng.integers(len(by_head), size=len(by_head))]
        means.append(np.mean(np.concatenate([rng.choice(rows, len(rows)) for rows in chosen])))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(np.mean(np.concatenate(by_head))), float(low), float(high)
