from PIL import Image

from lnc_dicom.segment.train.learning_curve import draw_curve
from lnc_dicom.segment.train.trainer import Progress


def test_the_learning_curve_is_a_png(tmp_path):
    curve = [Progress(step, 1 / step, (0.5, 0.6)) for step in (1, 2, 3)]
    draw_curve(tmp_path / "curve.png", "label", ["a", "b"], curve)
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size[0] >= 800
