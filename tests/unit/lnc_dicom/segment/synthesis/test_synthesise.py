import dataclasses

import numpy as np
import pytest
import torch

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.segment.synthesis.label_maps import load_label_map, load_palette
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.segment.synthesis.synthesise import synthesise
from lnc_dicom.segment.train.stages import LABEL, LOCATE


@pytest.fixture(scope="module")
def palette(data):
    return load_palette(data / "label-maps")


@pytest.fixture(scope="module")
def one_head(data, palette):
    return load_label_map(data / "label-maps" / "training_seg_04.nii.gz", palette)


def test_a_label_map_is_turned_to_left_posterior_superior(one_head, palette):
    left = np.argwhere(one_head.codes == palette.code(12)).mean(axis=0)
    right = np.argwhere(one_head.codes == palette.code(51)).mean(axis=0)
    cerebellum = np.argwhere(one_head.codes == palette.code(8)).mean(axis=0)
    assert left[0] > right[0]
    assert cerebellum[1] > left[1]
    assert cerebellum[2] < left[2]


def test_the_same_seed_gives_the_same_head(one_head, palette):
    first, second = (synthesise(one_head, palette, LABEL.synthesis, Rng(7)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_another_seed_gives_another_head(one_head, palette):
    first, second = (synthesise(one_head, palette, LABEL.synthesis, Rng(seed)) for seed in (7, 8))
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize("seed", range(6))
def test_left_is_on_the_left_mirrored_or_not(one_head, palette, seed):
    _, target = synthesise(one_head, palette, LABEL.synthesis, Rng(seed))
    for left, right in zip(STRUCTURES[::2], STRUCTURES[1::2], strict=True):
        places = [(target.argmax(0) == s.label).nonzero()[:, 0].float() for s in (left, right)]
        if min(len(p) for p in places) > 50:
            assert places[0].mean() > places[1].mean(), left.name


def test_mirroring_exchanges_the_sides(palette):
    plain, mirrored = palette.structures(mirrored=False), palette.structures(mirrored=True)
    for s in STRUCTURES:
        code = palette.code(s.freesurfer)
        assert plain[code] == s.label
        assert mirrored[code] == (s.label + 1 if s.side is Side.LEFT else s.label - 1)


@pytest.mark.parametrize("stage", [LOCATE, LABEL], ids=lambda s: s.name)
def test_images_and_targets_fit_their_network(one_head, palette, stage):
    image, target = synthesise(one_head, palette, stage.synthesis, Rng(1))
    assert image.shape == (1, *stage.synthesis.shape)
    assert target.shape == (stage.classes, *stage.synthesis.shape)
    assert 0 <= float(image.min()) <= float(image.max()) <= 1.5
    assert torch.isfinite(image).all()
    torch.testing.assert_close(target.float().sum(0), torch.ones(stage.synthesis.shape), atol=2e-3, rtol=0)


def test_nothing_is_labelled_where_nothing_is_imaged(one_head, palette):
    for seed in range(12):
        image, target = synthesise(one_head, palette, LOCATE.synthesis, Rng(seed))
        blank = torch.tensor([(image[0].select(axis, end) == 0).all() for axis in range(3) for end in (0, -1)])
        faces = [target[1].select(axis, end) for axis in range(3) for end in (0, -1)]
        for is_blank, face in zip(blank, faces, strict=True):
            assert not (is_blank and (face > 0).any())


def test_the_target_holds_the_share_of_each_voxel(one_head, palette):
    """Borders between voxels are learned only if the shares are not all 0 or 1, and add up to the true volume."""
    still = dataclasses.replace(
        LABEL.synthesis,
        **dict.fromkeys(("rotation_deg", "scale", "shear"), 0.0),
        centre_low_mm=(0, 0, 0),
        centre_high_mm=(0, 0, 0),
        cut_chance=0.0,
    )
    _, target = synthesise(one_head, palette, still, Rng(3))
    thalamus = target[7:9].float()
    assert ((thalamus > 0.2) & (thalamus < 0.8)).any()
    true_ml = np.isin(one_head.codes, palette.codes((10, 49))).sum() / 1000
    assert float(thalamus.sum()) * 1.25**3 / 1000 == pytest.approx(true_ml, rel=0.25)
