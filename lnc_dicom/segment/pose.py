"""Centroids of the structures → how the head is turned, and how far their arrangement differs from that of a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from lnc_dicom.types import Pose

Constellation = Mapping[int, npt.NDArray[np.float64]]
"""Centroid in LPS millimetres by label."""

MIN_STRUCTURES = 6
"""With fewer centroids a fit would be arbitrary."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A rigid placement: patient point = rotation @ canonical point + origin_mm (LPS)."""

    rotation: npt.NDArray[np.float64]
    origin_mm: npt.NDArray[np.float64]
    pose: Pose

    def grid(
        self, offset_mm: tuple[float, float, float], spacing_mm: float, shape: tuple[int, int, int]
    ) -> npt.NDArray[np.float64]:
        """Affine of a grid that is turned with the head; its middle lies at the offset from the origin."""
        lps_mm = np.eye(4)
        lps_mm[:3, :3] = self.rotation * spacing_mm
        middle = (np.array(shape) - 1) / 2
        lps_mm[:3, 3] = self.origin_mm + self.rotation @ np.array(offset_mm) - lps_mm[:3, :3] @ middle
        return lps_mm


def upright(centre_mm: npt.NDArray[np.float64]) -> Placement:
    """Place a head that is not turned, its deep grey matter around a point."""
    return Placement(np.eye(3), centre_mm, Pose(0.0, 1.0, 0.0))


def fit(found: Constellation, canonical: Constellation) -> Placement | None:
    """Lay the canonical constellation over the found one: rotation, one scale and shift with the least squares.

    Umeyama, IEEE PAMI 1991;13:376. Rounded to 0.1° and 0.1 mm. None where fewer than `MIN_STRUCTURES` were found.
    """
    shared = sorted(set(found) & set(canonical))
    if len(shared) < MIN_STRUCTURES:
        return None
    to, start = (np.array([points[label] for label in shared]) for points in (found, canonical))
    to_mean, start_mean = to.mean(0), start.mean(0)
    u, singular, vt = np.linalg.svd((to - to_mean).T @ (start - start_mean))
    keep = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
    rotation = _rounded(u @ np.diag(keep) @ vt)
    scale = float((singular * keep).sum() / ((start - start_mean) ** 2).sum())
    residual = to - to_mean - scale * (start - start_mean) @ rotation.T
    angle = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
    misfit_mm = float(np.sqrt((residual**2).sum(1).mean()))
    origin_mm = np.round(to_mean - scale * rotation @ start_mean, 1)
    return Placement(rotation, origin_mm, Pose(float(angle), scale, misfit_mm))


def _rounded(rotation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round a rotation to a tenth of a degree, so that rounding errors in the input do not move the grid."""
    turn = np.round(Rotation.from_matrix(rotation).as_rotvec(degrees=True), 1)
    return np.asarray(Rotation.from_rotvec(turn, degrees=True).as_matrix())


def centroids(labels: npt.NDArray[np.integer], lps_mm: npt.NDArray[np.float64], wanted: Constellation) -> Constellation:
    """Centroids of the wanted labels in a label array whose index the affine maps to LPS millimetres."""
    flat = labels.ravel()
    counts = np.bincount(flat, minlength=max(wanted) + 1)
    index = []
    for axis, size in enumerate(labels.shape):
        place = np.broadcast_to(np.arange(size).reshape([-1 if a == axis else 1 for a in range(3)]), labels.shape)
        index.append(np.bincount(flat, place.ravel(), minlength=len(counts)))
    means = np.stack(index, axis=1) / np.maximum(counts, 1)[:, None]
    return {label: lps_mm[:3, :3] @ means[label] + lps_mm[:3, 3] for label in wanted if counts[label]}
