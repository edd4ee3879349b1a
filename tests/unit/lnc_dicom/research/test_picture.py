"""Outlines lie on the structures, and the patient's left is on the right."""

import numpy as np

import lnc_dicom as lnc
from lnc_dicom.research.picture import mosaic


def test_the_left_side_is_drawn_on_the_right(image):
    result = lnc.segment(image)
    left = [s.label for s in lnc.STRUCTURES if s.side is lnc.Side.LEFT]
    marked = np.where(np.isin(result.labels.array, left), 5.0, result.volume.array).astype(np.float32)
    drawn = mosaic(result.volume.with_array(marked), result.labels, 60)
    assert drawn.shape == (120, 180, 3)
    tile = drawn[:60, 60:120].astype(int).sum(axis=2)
    assert tile[:, 30:].sum() > tile[:, :30].sum()
