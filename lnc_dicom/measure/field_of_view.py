"""T1 volume → sides on which the head is cut by the edge of the images.

Around a whole head there is air, but for the neck. An edge of the images that shows much tissue cuts the head: images
are missing (a transfer that broke off, a series that was sent in part), or the field of view was too small.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from highdicom import Volume

_SIDES = ((0, 0, "right"), (0, -1, "left"), (1, 0, "front"), (1, -1, "back"), (2, -1, "top"))
"""Axis of (L, P, S), index of its end, name. The lower end always cuts the neck."""
MAX_SHARE = 0.1
"""Tissue on an edge relative to the largest slice. Seven whole heads: at most 0.045 (ears); with the last tenth of the
sagittal slices missing: 0.2 and more."""
_TISSUE = 0.15
"""Threshold of tissue, relative to the brightest voxels (98th percentile)."""


def cut_sides(volume: Volume) -> Mapping[str, float]:
    """Sides of the head that the edge of the images cuts: tissue there, relative to the largest slice.

    Empty where the background is not dark, as in MP2RAGE images: tissue cannot be told from air.
    """
    pixels = np.asarray(volume.to_patient_orientation("LPS").array[::2, ::2, ::2], np.float32)
    signal = pixels[pixels > 0]
    if not signal.size:
        return {}
    tissue = pixels > _TISSUE * np.percentile(signal, 98)
    shares = {}
    for axis, end, name in _SIDES:
        area = tissue.sum(axis=tuple(a for a in range(3) if a != axis))
        shares[name] = float(area[end] / max(area.max(), 1))
    cut = {name: share for name, share in shares.items() if share > MAX_SHARE}
    return cut if len(cut) < len(_SIDES) else {}
