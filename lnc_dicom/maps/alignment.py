"""Map and T1 → the map registered to the T1, and the checks of that registration.

The registration image of the map (b = 0, M0, or the map itself) is registered rigidly, starting from the geometry in
the headers. Only the middle of the head is compared: the structures lie there, and echo-planar images are distorted
elsewhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import OffTheHead
from lnc_dicom.geometry.registration import register
from lnc_dicom.geometry.resampling import nearest, resample
from lnc_dicom.measure.gates import COVERED, INFORMATION, MAP_GATES, MIN_INFORMATION_OF_MAP, SHIFT, TURN_OF_MAP
from lnc_dicom.types import AlignedMap, Check, QuantityMap, Segmented

SPACING_MM = 2.0
"""Voxel size at which T1 and registration image are compared: that of a typical diffusion series."""
HALF_BOX_MM = (68.0, 80.0, 56.0)
"""Half the size of the box around the structures, along L, P, S: the brain without the lowest slices."""
SMOOTHING_MM = (4.0, 2.0)
SAMPLING = 0.3
"""Share of the voxels of the box that are compared."""
MAX_POINTS = 4000
"""So many voxels of the structures suffice to find the largest shift."""


def align(found: QuantityMap, volume: Volume, segmented: Segmented) -> AlignedMap:
    """Register a map to the T1. `volume` and the labels lie on the same grid. Raises OffTheHead, NotAligned."""
    points = structure_points(segmented)
    before = COVERED.check(covered(found, points, np.eye(4)))
    if before.value <= 0:
        raise OffTheHead(f"{before.code} {before}")
    fixed = middle_of_head(volume, points.mean(axis=0))
    motion = register(fixed, found.registration_image, SMOOTHING_MM, sampling=SAMPLING)
    checks = (
        INFORMATION.check(motion.information, low=MIN_INFORMATION_OF_MAP if found.registers_itself else None),
        TURN_OF_MAP.check(motion.turn_deg),
        SHIFT.check(motion.shift_mm(points)),
        COVERED.check(covered(found, points, motion.lps_mm)),
    )
    refuse_map(checks)
    return AlignedMap(found, motion.lps_mm, checks)


def refuse_map(checks: tuple[Check, ...]) -> None:
    """Raise the error of the first gate that the map does not pass, a NotMeasured."""
    by_code = {check.code: check for check in checks}
    for gate in MAP_GATES:
        check = by_code.get(gate.code)
        if check is not None and not check.passed and gate.refusal is not None:
            raise gate.refusal(f"{check.code} {check}")


def middle_of_head(volume: Volume, centre_mm: npt.NDArray[np.float64]) -> Volume:
    """Resample the T1 to a box around the structures, axes (L, P, S)."""
    shape = (int(HALF_BOX_MM[0]), int(HALF_BOX_MM[1]), int(HALF_BOX_MM[2]))  # half as many voxels of 2 mm, twice
    lps_mm = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    lps_mm[:3, 3] = centre_mm - np.array(HALF_BOX_MM) + SPACING_MM / 2
    return Volume(resample(volume, lps_mm, shape).numpy(), lps_mm, "PATIENT")


def structure_points(segmented: Segmented) -> npt.NDArray[np.float64]:
    """Give points of the structures, evenly chosen among their voxels, (N, 3) in LPS millimetres."""
    index = np.argwhere(segmented.labels.array > 0)
    index = index[:: max(1, len(index) // MAX_POINTS)]
    affine = segmented.labels.affine
    return np.asarray(index @ affine[:3, :3].T + affine[:3, 3])


def covered(found: QuantityMap, points_mm: npt.NDArray[np.float64], to_map_mm: npt.NDArray[np.float64]) -> float:
    """Give the share of the points (N, 3), LPS millimetres of the T1, at which the map has a value."""
    back = found.values.inverse_affine @ to_map_mm
    values = nearest(found.values.array, back[:3, :3] @ points_mm.T + back[:3, 3:], np.nan)
    return float(np.isfinite(values).mean()) if len(points_mm) else 0.0
