import highdicom as hd
import numpy as np
from PIL import Image

from lnc_dicom.segment.evaluate.overlays import OURS, THEIRS, LabelledHead, draw_overlays
from tests.factories import BoxSegmenter, boxes, head


def test_the_page_shows_both_outlines(tmp_path):
    array, lps_mm = head((64, 72, 96), (1.6, 1.6, 1.6))
    volume = hd.Volume(array, lps_mm, coordinate_system="PATIENT")
    truth = np.zeros(array.shape, np.int64)
    for s, inside in boxes(array.shape, lps_mm):
        truth[np.roll(inside, 3, axis=0)] = s.freesurfer
    heads = [LabelledHead(name, volume, truth, BoxSegmenter()(volume).labels) for name in ("one", "two")]
    draw_overlays(tmp_path / "page.png", heads)
    with Image.open(tmp_path / "page.png") as picture:
        page = np.asarray(picture.convert("RGB")).astype(int)
    assert page.shape[1] > 1500
    for colour in (OURS, THEIRS):
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(page - rgb).max(axis=-1) < 12).sum() > 200
