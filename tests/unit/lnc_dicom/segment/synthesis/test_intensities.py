import numpy as np
import pytest
import torch

from lnc_dicom.anatomy import INTERNAL_CAPSULE_FREESURFER, STRUCTURES
from lnc_dicom.segment.synthesis.intensities import sample_intensities
from lnc_dicom.segment.synthesis.label_maps import Palette
from lnc_dicom.segment.synthesis.rng import Rng

LABELS = sorted({0, 2, 3, 41, 42, 24, 28, 60, 500, *(s.freesurfer for s in STRUCTURES)})
MEANS = {0: 5, 24: 20, 2: 200, 41: 200, **dict.fromkeys(INTERNAL_CAPSULE_FREESURFER, 200)}


@pytest.fixture(scope="module")
def palette():
    """White matter 200, fluid 20, air 5, everything else 130; every label is a tissue of its own."""
    means = np.array([[MEANS.get(label, 130) for label in LABELS], [10.0] * len(LABELS)])
    return Palette(np.array(LABELS), np.arange(len(LABELS)), means, np.ones((2, len(LABELS))) * [[8], [2]])


@pytest.fixture(scope="module")
def codes(palette):
    """White matter with a putamen in it, and air around both."""
    labels = np.zeros((40, 40, 40), int)
    labels[4:36, 4:36, 4:36] = 2
    labels[14:26, 14:26, 14:26] = 12
    lookup = np.zeros(max(LABELS) + 1, np.uint8)
    lookup[LABELS] = np.arange(len(LABELS))
    return torch.from_numpy(lookup[labels])


def _medians(codes, palette, *, realistic, images=24):
    """Median of air, white matter and putamen, away from their borders, per image."""
    middle = {0: np.s_[:3], 2: np.s_[7:11, 10:30, 10:30], 12: np.s_[18:22, 18:22, 18:22]}
    drawn = [sample_intensities(codes, palette, Rng(seed), realistic=realistic) for seed in range(images)]
    return np.array([[float(image[box].median()) for box in middle.values()] for image in drawn])


def test_the_same_seed_gives_the_same_image(codes, palette):
    first, second, other = (sample_intensities(codes, palette, Rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("realistic", [True, False])
def test_no_intensity_is_negative_and_no_two_images_are_alike(codes, palette, realistic):
    image = sample_intensities(codes, palette, Rng(0), realistic=realistic)
    assert image.shape == codes.shape
    assert float(image.min()) >= 0
    assert _medians(codes, palette, realistic=realistic)[:, 1].std() > 1


def test_white_matter_is_brighter_than_the_putamen_in_nearly_every_realistic_image(codes, palette):
    air, white, putamen = _medians(codes, palette, realistic=True).T
    assert (white > putamen).mean() > 0.9
    assert (white > air).all()


def test_contrast_varies_more_where_it_need_not_be_realistic(codes, palette):
    broad, narrow = (np.std(m[:, 2] / m[:, 1]) for m in (_medians(codes, palette, realistic=r) for r in (False, True)))
    assert broad > narrow
