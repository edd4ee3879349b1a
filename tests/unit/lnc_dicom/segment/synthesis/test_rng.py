import pytest
import torch

from lnc_dicom.segment.synthesis.rng import Rng


def _numbers(rng):
    return [rng.uniform(0, 1), rng.integer(1000), *rng.normal(2).tolist(), *rng.smooth((2, 2, 2), 2).flatten().tolist()]


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    assert _numbers(Rng(1)) == _numbers(Rng(1))
    assert _numbers(Rng(1)) != _numbers(Rng(2))


def test_numbers_lie_where_they_should():
    rng = Rng(1)
    uniform = [rng.uniform(-2, 6) for _ in range(500)]
    assert -2 <= min(uniform) < -1.8
    assert 5.8 < max(uniform) < 6
    assert {rng.integer(3) for _ in range(100)} == {0, 1, 2}
    assert sum(rng.chance(0.2) for _ in range(1000)) == pytest.approx(200, abs=40)


def test_a_smooth_field_is_linear_between_its_knots():
    field = Rng(1).smooth((9, 9, 9), 3, channels=2)
    assert field.shape == (1, 2, 9, 9, 9)
    torch.testing.assert_close(field[..., 1], 0.75 * field[..., 0] + 0.25 * field[..., 4])
    torch.testing.assert_close(field[..., 6], (field[..., 4] + field[..., 8]) / 2)
