import pytest
import torch

from lnc_dicom.segment.synthesis.artefacts import blur


def test_blurring_keeps_the_sum_and_the_place():
    image = torch.zeros(21, 21, 21)
    image[10, 10, 10] = 1
    spread = blur(image, (1.0, 2.0, 0.5))
    assert float(spread.sum()) == pytest.approx(1, abs=1e-4)
    assert spread.argmax() == image.argmax()
