"""What one stage's synthetic images look like: grid, placement, deformation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one stage's images are made. Lengths in mm, axes (L, P, S).

    shape, spacing_mm
        Grid of the image.
    stride
        The label map is thinned by this before use (1: as it is).
    centre_low_mm, centre_high_mm
        Where the grid's centre may lie relative to the centroid of the deep grey matter.
    rotation_deg, scale, shear
        SD of each angle; SD of the logarithm of each scale; SD of each shear.
    whole_regions
        True: the target is `Palette.regions`; False: `Palette.structures`.
    cut_chance
        How often everything beyond a plane is blanked.
    settles_after
        Part of the training (0 to 1) after which the deep borders are painted as real T1 shows them rather than as
        broadly as they might be; None: never.
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
    settles_after: float | None = None

    def is_settled(self, done: float) -> bool:
        """Whether borders are painted as in real T1 when this part of the training is done."""
        return self.settles_after is not None and done >= self.settles_after
