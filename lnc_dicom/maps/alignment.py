"""Map and T1 → the map laid on the T1, with the gates that it has to pass.

The map's partner (b = 0, M0, or the map itself) is laid on the T1 by a rigid motion that starts from the headers. Only
the middle of the head is looked at: echo-planar images are distorted elsewhere, and the structures lie there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import OffTheHead
from lnc_dicom.geometry.registration import register
from lnc_dicom.measure.gates import COVERED, INFORMATION, MAP_GATES, MIN_INFORMATION_OF_MAP, SHIFT, TURN_OF_MAP
from lnc_dicom.study.load import resample
from lnc_dicom.types import AlignedMap, Check, QuantityMap, Segmented

SPACING_MM = 2.0
"""Grid on which T1 and partner are compared: as fine as a diffusion series."""
HALF_BOX_MM = (68.0, 80.0, 56.0)
"""Half the box around the middle of the structures, along L, P, S: the brain without the lowest slices."""
SMOOTHING_MM = (4.0, 2.0)
SAMPLING = 0.3
"""Share of the voxels of that grid that are compared."""
MAX_POINTS = 4000
"""So many voxels of the structures are enough to tell how far they were moved."""


def align(found: QuantityMap, volume: Volume, segmented: Segmented) -> AlignedMap:
    """Lay a map on the T1. `volume` and the labels lie on the same grid. Raises OffTheHead, NotAligned."""
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
    """Raise the NotMeasured of the first gate that is not passed."""
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
    """Places of voxels of the structures, evenly chosen, (N, 3) in LPS millimetres."""
    index = np.argwhere(segmented.labels.array > 0)
    index = index[:: max(1, len(index) // MAX_POINTS)]
    affine = segmented.labels.affine
    return np.asarray(index @ affine[:3, :3].T + affine[:3, 3])


def covered(found: QuantityMap, points_mm: npt.NDArray[np.float64], to_map_mm: npt.NDArray[np.float64]) -> float:
    """Share of the points where the map has a value."""
    back = found.values.inverse_affine @ to_map_mm
    place = np.rint(points_mm @ back[:3, :3].T + back[:3, 3]).astype(int)
    inside = ((place >= 0) & (place < found.values.shape)).all(axis=1)
    values = found.values.array[tuple(np.clip(place, 0, np.array(found.values.shape) - 1).T)]
    return float((inside & np.isfinite(values)).mean()) if len(points_mm) else 0.0
