import pytest
import torch

from lnc_dicom.segment.intensity import normalise


def test_the_1st_and_99th_percentile_become_0_and_1():
    image = 1 + 100 * torch.rand(40, 40, 40, generator=torch.Generator().manual_seed(1))
    scaled = normalise(image)
    for value, expected in ((1.2, 0), (2, 0), (51, 0.5), (100, 1)):
        assert float(scaled[(image - value).abs() < 0.1].mean()) == pytest.approx(expected, abs=0.01)


def test_the_scale_of_the_scanner_and_the_air_around_the_head_do_not_matter():
    head = torch.rand(30, 30, 30, generator=torch.Generator().manual_seed(1)) + 0.1
    padded = torch.nn.functional.pad(head, (20, 20, 20, 20, 20, 20))
    torch.testing.assert_close(normalise(1000 * head), normalise(head))
    torch.testing.assert_close(normalise(padded)[20:50, 20:50, 20:50], normalise(head))


def test_bright_vessels_are_clipped():
    image = torch.rand(40, 40, 40, generator=torch.Generator().manual_seed(1)) + 0.1
    image[5, 5, 5] = 100
    assert float(normalise(image).max()) == 1.5


def test_an_empty_image_stays_empty():
    assert not normalise(torch.zeros(8, 8, 8)).any()
