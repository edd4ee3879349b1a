"""Labels or a mask → the largest connected component."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage


def largest_component_per_label(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Keep the largest face-connected component of every label; the shape stays."""
    kept = np.zeros_like(labels)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            kept[box][largest_component(labels[box] == label)] = label
    return kept


def largest_component(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep the largest component of a mask whose voxels share faces (pixels: edges); the first of equal ones."""
    components, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(components.ravel())[1:]
    return np.asarray(components == sizes.argmax() + 1)
