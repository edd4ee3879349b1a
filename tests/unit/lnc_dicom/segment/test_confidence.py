import pytest
import torch

from lnc_dicom.segment.confidence import entropy_and_spread, mirror_dice


def _certain(labels, classes=3):
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).movedim(-1, 0).float()


def test_the_mirror_dice_of_equal_maps_is_1_and_of_others_their_dice():
    a, b = _certain([[[0, 1, 1, 2]]]), _certain([[[0, 1, 0, 2]]])
    assert mirror_dice(a, a) == {1: 1.0, 2: 1.0}
    assert mirror_dice(a, b)[1] == pytest.approx(2 / 3)


def test_certainty_has_no_entropy_and_an_even_guess_has_one_bit():
    p = torch.tensor([[0.0, 0.4999], [1.0, 0.5001], [0.0, 0.0]]).reshape(3, 1, 1, 2)
    entropy, spread = entropy_and_spread(p)
    assert entropy[1] == pytest.approx(0.5, abs=1e-3)
    assert spread[1] == pytest.approx(0.25 / 1.5, abs=1e-3)


def test_a_blurred_border_spreads_more_than_a_sharp_one():
    sharp = torch.sigmoid(torch.linspace(-40, 40, 64)).reshape(1, 1, 1, 64)
    soft = torch.sigmoid(torch.linspace(-4, 4, 64)).reshape(1, 1, 1, 64)
    spreads = [entropy_and_spread(torch.cat([1 - p, p]))[1][1] for p in (sharp, soft)]
    assert spreads[1] > 4 * spreads[0]
