"""A converted series → the b-values and directions that a tensor can be fitted to, or why there is none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lnc_dicom.errors import OneBValue, TooFewDirections, WrongGradients
from lnc_dicom.study.dcm2niix import Converted

B0_MAX = 50.0
"""A volume with a smaller b-value, in s/mm², counts as b = 0."""
MIN_DIRECTIONS = 6
"""A tensor has six unknowns."""
SAME_DIRECTION_COSINE = 0.999
"""Directions within 2.6° count as one; so do g and -g."""
UNIT_TOLERANCE = 0.02
"""The length of a direction may differ from 1 by this; rounding in headers stays below 0.001."""


def gradients(converted: Converted, max_b: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give the b-values, one per volume (-1: not used), and the directions of the volumes used, (used, 3) in LPS.

    Raises WrongGradients, OneBValue, TooFewDirections.
    """
    b_values, directions = _table(converted)
    weighted = b_values > B0_MAX
    length = np.linalg.norm(directions, axis=1)
    # a trace image has a b-value but no direction: it says nothing of the tensor
    keep = (~weighted | (length > UNIT_TOLERANCE)) & (b_values <= max_b)
    if (np.abs(length[keep & weighted] - 1) > UNIT_TOLERANCE).any():
        raise WrongGradients("gradient directions that are not unit vectors")
    if not (keep & weighted).any():
        raise WrongGradients(f"no volume with a direction and a b-value from {B0_MAX:.0f} to {max_b:.0f} s/mm²")
    if not (keep & ~weighted).any():
        raise OneBValue(f"b-values from {b_values.min():.0f} to {b_values.max():.0f} s/mm² in {len(b_values)} volumes")
    count = different_directions(directions[keep & weighted])
    if count < MIN_DIRECTIONS:
        raise TooFewDirections(f"{count} different directions")
    keep &= ~_darkened(converted.array, keep, weighted)
    return np.where(keep, b_values, -1.0), np.where(weighted[:, None], directions, 0.0)[keep]


def _table(converted: Converted) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give b-values and directions of all volumes. Raises WrongGradients."""
    b_values, directions = converted.b_values, converted.directions
    volumes = converted.array.shape[3]
    if b_values is None or directions is None:
        raise WrongGradients(f"no b-values or no directions in the header; number of volumes: {volumes}")
    if b_values.size != volumes or directions.shape != (volumes, 3):
        raise WrongGradients(f"{b_values.size} b-values and {len(directions)} directions for {volumes} volumes")
    if not np.isfinite(b_values).all() or not np.isfinite(directions).all() or b_values.min() < 0:
        raise WrongGradients("b-values or directions that are not finite, or negative b-values")
    return b_values, directions


def _darkened(
    array: npt.NDArray[np.float32], keep: npt.NDArray[np.bool_], weighted: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Mark volumes at b = 0 that are nearer in brightness to the weighted ones than to the brightest at b = 0.

    dcm2niix takes a volume of GE without a direction for b = 0, also a trace image.
    """
    zero = np.flatnonzero(keep & ~weighted)
    mean = array[..., keep & weighted].mean(axis=3)
    head = mean >= mean.mean()
    brightness = array[head].mean(axis=0)
    limit = (brightness[zero].max() + brightness[keep & weighted].mean()) / 2
    return np.asarray(~weighted & (brightness < limit))


def different_directions(directions: npt.NDArray[np.float64]) -> int:
    """Count the different axes: a gradient and its opposite measure the same."""
    found: list[npt.NDArray[np.float64]] = []
    for direction in directions:
        if all(abs(float(direction @ other)) < SAME_DIRECTION_COSINE for other in found):
            found.append(direction)
    return len(found)
