"""What one stage's synthetic images look like: grid, placement, deformation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SynthesisConfig:
    """How one stage's images are made. Lengths in mm, axes (L, P, S).

    shape, spacing_mm
        Grid of the image.
    stride
        Every n-th voxel of the label map is used, along each axis (1: all).
    centre_low_mm, centre_high_mm
        Where the grid's centre may lie relative to the centroid of the deep grey matter.
    rotation_deg, scale, shear
        SD of each angle; SD of the logarithm of each scale; SD of each shear.
    whole_regions
        True: the target is `Palette.regions`; False: `Palette.structures`.
    cut_chance
        How often everything beyond a plane is blanked.
    realistic_contrast_after
        Fraction of the training (0 to 1) after which contrast and deep borders vary only as much as in real T1, rather
        than as broadly as possible; None: never.
    """

    shape: tuple[int, int, int]
    spacing_mm: float
    stride: int
    centre_low_mm: tuple[float, float, float]
    centre_high_mm: tuple[float, float, float]
    rotation_deg: float
    scale: float
    shear: float
    whole_regions: bool
    cut_chance: float = 0.15
    realistic_contrast_after: float | None = None

    def has_realistic_contrast(self, done: float) -> bool:
        """Whether contrast and borders are like those of real T1 when this fraction of the training is done."""
        return self.realistic_contrast_after is not None and done >= self.realistic_contrast_after
