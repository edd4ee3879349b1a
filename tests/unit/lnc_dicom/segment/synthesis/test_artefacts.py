import dataclasses

import pytest
import torch

from lnc_dicom.segment.synthesis.artefacts import add_artefacts, blur, blur_and_downsample, cut_field_of_view
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.segment.train.stages import LABEL

CONFIG = dataclasses.replace(LABEL.synthesis, shape=(24, 26, 28))


def test_blurring_keeps_the_sum_and_the_place():
    image = torch.zeros(21, 21, 21)
    image[10, 10, 10] = 1
    spread = blur(image, (1.0, 2.0, 0.5))
    assert float(spread.sum()) == pytest.approx(1, abs=1e-4)
    assert spread.argmax() == image.argmax()


def test_an_image_with_artefacts_has_the_grid_of_the_config_and_no_negative_intensity():
    image = torch.rand(CONFIG.shape, generator=torch.Generator().manual_seed(0))
    for seed in range(8):
        changed = add_artefacts(image, CONFIG, Rng(seed))
        assert changed.shape == CONFIG.shape
        assert float(changed.min()) >= 0
        assert not torch.equal(changed, image)


def test_a_downsampled_image_has_at_most_as_many_voxels_along_every_axis():
    for seed in range(20):
        thick = blur_and_downsample(torch.rand(CONFIG.shape), CONFIG, Rng(seed))
        assert all(4 <= n <= whole for n, whole in zip(thick.shape, CONFIG.shape, strict=True))


def test_a_cut_blanks_everything_on_one_side_of_a_plane_and_says_what_is_left():
    for seed in range(12):
        image, kept = cut_field_of_view(torch.ones(12, 15, 18), 1.0, Rng(seed))
        assert torch.equal(image > 0, kept)
        assert 0 < float((~kept).float().mean()) <= 0.334
        slabs = [~kept.any(dim=[a for a in range(3) if a != axis]) for axis in range(3)]
        assert sum(int(slab.any()) for slab in slabs) == 1
    assert cut_field_of_view(torch.ones(12, 15, 18), 0.0, Rng(1))[1].all()
