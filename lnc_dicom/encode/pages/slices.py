"""Report → square slices through the basal ganglia along the patient's axes, interpolated.

Columns run to the patient's left, so the left side is on the right (radiological convention).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.geometry.resampling import resample, resample_labels
from lnc_dicom.report import Report

SPAN_MM = 132.0
"""Width and height of a slice: the nuclei and most of the lateral ventricles."""
_WINDOW = (0.5, 99.8)
_LEFT, _BACK, _DOWN = (1, 0, 0), (0, 1, 0), (0, 0, -1)
Floats = npt.NDArray[np.float64]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice at a distance `mm` from the middle of putamen and pallidum: up if axial, back if coronal."""

    plane: str
    mm: float

    @property
    def down(self) -> tuple[int, int, int]:
        """Direction in which the row index grows, LPS."""
        return _BACK if self.plane == "axial" else _DOWN

    @property
    def shift_mm(self) -> Floats:
        """Vector from the middle to the slice, LPS millimetres."""
        return np.array([0, 0, self.mm] if self.plane == "axial" else [0, self.mm, 0], float)


@dataclass(frozen=True, slots=True, eq=False)
class Cutter:
    """Cuts slices of `size` pixels from a T1 and from volumes on its grid.

    part
        The T1 around the basal ganglia; the rest is never shown.
    box
        Position of `part` in the grid of the T1.
    centre_mm
        Middle of putamen and pallidum, LPS.
    window
        Grey levels from black to white.
    """

    part: Volume = field(repr=False)
    box: Box
    centre_mm: Floats
    window: tuple[float, float]
    size: int

    def grey(self, cut: Slice) -> Floats:
        """Give the T1, 0 (black) to 1 (white), (size, size)."""
        low, high = self.window
        return np.clip((self.values(self.part, cut) - low) / max(high - low, 1e-6), 0, 1)

    def values(self, part: Volume, cut: Slice) -> Floats:
        """Sample a volume, linearly interpolated, (size, size)."""
        found = resample(part, self._grid(cut), (self.size, self.size, 1))[..., 0]
        return np.asarray(found.numpy(), np.float64)

    def labels(self, part: Volume, cut: Slice) -> npt.NDArray[np.uint8]:
        """Give the labels of the nearest voxels, (size, size)."""
        return np.asarray(resample_labels(part, self._grid(cut), (self.size, self.size, 1))[..., 0], np.uint8)

    def _grid(self, cut: Slice) -> Floats:
        """Give the affine, (4, 4): row, column, 0 of the slice → LPS millimetres."""
        pixel_mm = SPAN_MM / self.size
        right, down = np.array(_LEFT, float), np.array(cut.down, float)
        lps_mm = np.eye(4)
        lps_mm[:3, 0], lps_mm[:3, 1], lps_mm[:3, 2] = down * pixel_mm, right * pixel_mm, np.cross(down, right)
        lps_mm[:3, 2] *= pixel_mm
        lps_mm[:3, 3] = self.centre_mm + cut.shift_mm - (right + down) * (SPAN_MM - pixel_mm) / 2
        return lps_mm


def cutter(report: Report, size: int) -> Cutter:
    """Prepare to cut slices from the T1 of a report."""
    return cutter_of(report.volume, report.segmented.labels, size)


def cutter_of(volume: Volume, labels: Volume, size: int) -> Cutter:
    """Prepare to cut slices from a T1 whose labels lie on its grid."""
    centre = _centre_mm(labels)
    box = _box(volume, centre)
    return Cutter(cut_out(volume, box), box, centre, _window(volume, centre), size)


def cut_out(volume: Volume, box: Box) -> Volume:
    """Crop a volume; its position in patient space stays."""
    part = volume[box]  # type: ignore[index]  # highdicom's annotation knows tuples of one
    return part.with_array(np.ascontiguousarray(part.array))  # once, not for every slice


def _box(volume: Volume, centre_mm: Floats) -> Box:
    """Give the box of all voxels that any slice can show."""
    middle = (volume.inverse_affine @ [*centre_mm, 1])[:3]
    reach = np.ceil(SPAN_MM * np.sqrt(3) / 2 / np.array(volume.spacing))
    low = np.maximum(np.floor(middle - reach), 0).astype(int)
    high = np.minimum(np.ceil(middle + reach) + 1, volume.shape).astype(int)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def _window(volume: Volume, centre_mm: Floats) -> tuple[float, float]:
    """Give the grey levels from black to white: percentiles of the brain around the basal ganglia, not of the scalp."""
    lps_mm = np.diag([2.0, 2.0, 2.0, 1.0])
    lps_mm[:3, 3] = centre_mm - 40
    low, high = np.percentile(resample(volume, lps_mm, (40, 40, 40)).numpy(), _WINDOW)
    return float(low), float(high)


def _centre_mm(labels: Volume) -> Floats:
    """Give the middle of putamen and pallidum of both sides, LPS millimetres."""
    wanted = [s.label for s in STRUCTURES if s.name in {"putamen", "pallidum"}]
    index = np.argwhere(np.isin(labels.array, wanted)).mean(axis=0)
    return np.asarray(labels.affine[:3, :3] @ index + labels.affine[:3, 3])


def colours() -> Floats:
    """Give the colour of every label, (labels, 3), 0 to 255; label 0 is black."""
    table = np.zeros((len(STRUCTURES) + 1, 3))
    table[[s.label for s in STRUCTURES]] = [s.rgb for s in STRUCTURES]
    return table


def is_outline(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Find the labelled pixels that have a neighbour with another label."""
    padded = np.pad(labels, 1)
    shifts = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.asarray((labels > 0) & np.any([labels != shifted for shifted in shifts], axis=0))
