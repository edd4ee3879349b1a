"""The two stages of the segmentation: find the deep grey matter in the whole head, then label a crop around it."""

from __future__ import annotations

from dataclasses import dataclass

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.synthesis.config import Recipe


@dataclass(frozen=True, slots=True)
class Stage:
    """One network: its size, the images it learns from, and how much rare classes weigh in the loss.

    balance
        0: every voxel weighs the same, boundaries are unbiased. 0.5: rare classes are found sooner and drawn larger,
        which a search for a centre does not mind.
    cross_entropy_share
        Weight of the cross-entropy, whose mean over a crop that is nine tenths background would else have no voice.
    dice_fades
        Parts of the training between which the weight of the Dice falls from 1 to `LAST_DICE_WEIGHT`. Dice finds
        small structures, but draws what is uncertain too large: after the first fifth of a training the pallidum was
        76 % too large on held-out label maps. Cross-entropy alone then puts the borders where they are.
    """

    name: str
    channels: tuple[int, ...]
    classes: int
    recipe: Recipe
    balance: float
    cross_entropy_share: float
    dice_fades: tuple[float, float] | None = None

    def dice_weight(self, done: float) -> float:
        """Weight of the Dice when this part of the training (0 to 1) is done."""
        if self.dice_fades is None:
            return 1.0
        start, end = self.dice_fades
        left = 1 - min(max((done - start) / (end - start), 0.0), 1.0)
        return LAST_DICE_WEIGHT + (1 - LAST_DICE_WEIGHT) * left


LAST_DICE_WEIGHT = 0.05

LOCATE = Stage(
    name="locate",
    channels=(8, 16, 32, 64),
    classes=3,
    recipe=Recipe(
        shape=(64, 64, 64),
        spacing_mm=4.0,
        stride=2,
        centre_low_mm=(-40.0, -50.0, -70.0),
        centre_high_mm=(40.0, 50.0, 40.0),
        rotation_deg=16.0,
        scale=0.12,
        shear=0.05,
        whole_regions=True,
    ),
    balance=0.5,
    cross_entropy_share=1.0,
)
"""Classes: 1 deep grey matter, 2 other brain."""

LABEL = Stage(
    name="label",
    channels=(16, 32, 64, 128, 128),
    classes=len(STRUCTURES) + 1,
    recipe=Recipe(
        shape=(80, 80, 64),
        spacing_mm=1.25,
        stride=1,
        centre_low_mm=(-12.0, -15.0, -12.0),
        centre_high_mm=(12.0, 40.0, 12.0),
        rotation_deg=11.0,
        scale=0.1,
        shear=0.05,
        whole_regions=False,
        settles_after=0.4722,
    ),
    balance=0.0,
    cross_entropy_share=10.0,
    dice_fades=(0.28, 0.45),
)
"""Classes: the labels of `anatomy.STRUCTURES`."""
