import numpy as np
import pytest
import torch

from lnc_dicom.geometry.resampling import sample
from lnc_dicom.segment.confidence import likeliest
from lnc_dicom.segment.segmenter import _likeliest_on

SOURCE = (40, 44, 36)


def _blobs(*centres):
    """Probabilities of background and one ball per centre; a ball without a centre is nowhere."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(24.0)] * 3, indexing="ij"))
    balls = [
        torch.zeros(24, 24, 24)
        if c is None
        else torch.sigmoid(5 - (grid - torch.tensor(c).reshape(3, 1, 1, 1)).norm(dim=0))
        for c in centres
    ]
    together = torch.stack(balls)
    together = together / together.sum(0).clamp(min=1)
    return torch.cat([1 - together.sum(0, keepdim=True), together])


@pytest.fixture
def to_crop():
    """From a source of 0.8 voxels, turned and shifted, to the crop."""
    c, s = np.cos(0.2), np.sin(0.2)
    matrix = np.eye(4)
    matrix[:3, :3] = 0.8 * np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    matrix[:3, 3] = (-2.0, -5.0, -3.0)
    return matrix


def _undecided():
    """Five classes, the likeliest of which is often far from certain, and background around them."""
    coarse = torch.randn(1, 5, 6, 6, 6, generator=torch.Generator().manual_seed(2))
    smooth = torch.nn.functional.interpolate(coarse, size=(24, 24, 24), mode="trilinear")[0]
    probabilities = torch.softmax(0.7 * smooth, 0)
    probabilities[:, :4] = probabilities[:, 20:] = torch.tensor([1.0, 0, 0, 0, 0]).reshape(5, 1, 1, 1)
    return probabilities


@pytest.mark.parametrize(
    "probabilities",
    [
        _blobs((9.0, 9.0, 9.0), (15.0, 9.0, 12.0)),
        _blobs((3.0, 4.0, 3.0), None, (6.0, 5.0, 3.0)),
        _blobs(None, None),
        _undecided(),
    ],
    ids=["two balls", "one is missing", "nothing", "undecided"],
)
def test_sampling_a_class_only_where_it_can_win_changes_no_voxel(to_crop, probabilities):
    everywhere = sample(probabilities, to_crop, SOURCE).max(dim=0)
    box, labels, best = _likeliest_on(to_crop, probabilities, SOURCE)
    found = np.zeros(SOURCE, np.uint8)
    found[box] = labels
    np.testing.assert_array_equal(found, everywhere.indices.numpy())
    np.testing.assert_allclose(best[labels > 0], everywhere.values.numpy()[box][labels > 0], atol=1e-5)


def test_the_likeliest_label_is_the_largest_probability():
    probabilities = torch.softmax(3 * torch.randn(5, 6, 7, 8, generator=torch.Generator().manual_seed(1)), 0)
    assert torch.equal(likeliest(probabilities), probabilities.argmax(0))
