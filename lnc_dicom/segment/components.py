"""Labels → the same labels, one face-connected piece of each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage


def largest_components(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Keep the largest face-connected piece of every label."""
    kept = np.zeros_like(labels)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            kept[box][largest_component_of(labels[box] == label)] = label
    return kept


def largest_component_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep the largest face-connected piece of a mask."""
    pieces, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(pieces.ravel())[1:]
    return np.asarray(pieces == sizes.argmax() + 1)
