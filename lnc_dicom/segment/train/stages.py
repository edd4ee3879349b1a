"""How each of the two networks is trained: its size, its synthetic images and its loss."""

from __future__ import annotations

from dataclasses import dataclass

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.segmenter import LABEL_SPACING_MM, LOCATE_SPACING_MM
from lnc_dicom.segment.synthesis.config import SynthesisConfig


@dataclass(frozen=True, slots=True)
class Stage:
    """One network: its size, the images that it is trained on, and the terms of its loss.

    balance
        0: every voxel weighs the same, boundaries are unbiased. 0.5: rare classes are found sooner and drawn larger,
        which does no harm where only a centre is wanted.
    cross_entropy_share
        Weight of the cross-entropy. Nine tenths of a crop are background, so its mean would otherwise count for
        nothing beside the Dice.
    dice_fades
        Fractions of the training between which the weight of the Dice falls from 1 to `LAST_DICE_WEIGHT`. Dice finds
        small structures, but makes uncertain structures too large: after the first fifth of a training the pallidum was
        76 % too large on held-out label maps. After that, cross-entropy almost alone corrects the borders.
    """

    name: str
    channels: tuple[int, ...]
    classes: int
    synthesis: SynthesisConfig
    balance: float
    cross_entropy_share: float
    dice_fades: tuple[float, float] | None = None

    def dice_weight(self, done: float) -> float:
        """Weight of the Dice when this fraction of the training (0 to 1) is done."""
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
    synthesis=SynthesisConfig(
        shape=(64, 64, 64),
        spacing_mm=LOCATE_SPACING_MM,
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
    synthesis=SynthesisConfig(
        shape=(80, 80, 64),
        spacing_mm=LABEL_SPACING_MM,
        stride=1,
        centre_low_mm=(-12.0, -15.0, -12.0),
        centre_high_mm=(12.0, 40.0, 12.0),
        rotation_deg=11.0,
        scale=0.1,
        shear=0.05,
        whole_regions=False,
        realistic_contrast_after=0.4722,
    ),
    balance=0.0,
    cross_entropy_share=10.0,
    dice_fades=(0.28, 0.45),
)
"""Classes: the labels of `anatomy.STRUCTURES`."""
