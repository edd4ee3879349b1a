"""The two stages of the segmentation: find the deep grey matter in the whole head, then label a crop around it."""

from __future__ import annotations

from dataclasses import dataclass

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.synthesis import Recipe


@dataclass(frozen=True, slots=True)
class Stage:
    """One network: its size, the images it learns from, and how much rare classes weigh in the loss.

    balance
        0: every voxel weighs the same, boundaries are unbiased. 0.5: rare classes are found sooner and drawn larger,
        which a search for a centre does not mind.
    cross_entropy_share
        Weight of the cross-entropy against Dice. Dice alone draws what is uncertain too large (a voxel counts as soon
        as its probability exceeds half the Dice), and a mean over a crop that is nine tenths background leaves
        cross-entropy without a voice: with a share of 1 the pallidum was 24 % too large on held-out label maps.
    """

    name: str
    channels: tuple[int, ...]
    classes: int
    recipe: Recipe
    balance: float
    cross_entropy_share: float


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
        rotation_deg=14.0,
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
        rotation_deg=9.0,
        scale=0.1,
        shear=0.05,
        whole_regions=False,
    ),
    balance=0.0,
    cross_entropy_share=10.0,
)
"""Classes: the labels of `anatomy.STRUCTURES`."""
