from dataclasses import replace

import numpy as np

from lnc_dicom.encode.pages.saliency_page import draw_saliency_page, heat
from lnc_dicom.predictions import Target
from tests.factories import NOW

TOP = 106


def _page(report, saliency):
    return draw_saliency_page(report, replace(report.biomarker, saliency=saliency), NOW).astype(int)


def _at_structure(report, label):
    labels = report.labels.array
    return report.volume.with_array((labels == label).astype(np.float32))


def _coloured(page):
    """Columns and rows of the tiles' pixels that are not grey."""
    tiles = page[TOP : TOP + 256]
    rows, columns = np.nonzero(tiles.max(axis=-1) - tiles.min(axis=-1) > 40)
    return rows, columns


def test_what_lights_up_on_the_left_is_drawn_on_the_right_of_every_slice(everything):
    for label, is_left in ((3, True), (4, False)):
        page = _page(everything.report, {Target.FA: _at_structure(everything.report, label)})
        _, columns = _coloured(page)
        within = columns % 256
        assert len(columns) > 50
        assert (within > 128).all() if is_left else (within < 128).all()


def test_every_answer_has_a_row(everything):
    lit = _at_structure(everything.report, 3)
    dark = lit.with_array(np.zeros_like(lit.array))
    one = _page(everything.report, {Target.FA: dark, Target.CBF: lit, Target.STEMS: dark})
    tiles = one[TOP : TOP + 3 * 256]
    rows = np.nonzero(tiles.max(axis=-1) - tiles.min(axis=-1) > 40)[0]
    assert set(rows // 256) == {1}


def test_faint_saliency_is_not_coloured(everything):
    faint = _at_structure(everything.report, 3)
    page = _page(everything.report, {Target.FA: faint.with_array(faint.array * np.float32(0.19))})
    assert len(_coloured(page)[0]) == 0


def test_brighter_means_more():
    brightness = heat(np.linspace(0.2, 1, 20)).sum(axis=-1)
    assert (np.diff(brightness) > 0).all()
