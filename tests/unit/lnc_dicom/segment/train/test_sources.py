import torch

from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.segment.train.sources import Mixed


class _Plain:
    def __init__(self, value):
        self.value = value

    def make(self, rng, done):
        return torch.full((1,), self.value), torch.full((1,), done)


def test_a_share_of_the_images_comes_from_the_first_source():
    source = Mixed(_Plain(1.0), _Plain(0.0), 0.7)
    first = [float(source.make(Rng(seed), 0.5)[0]) for seed in range(400)]
    assert 0.6 < sum(first) / len(first) < 0.8
    assert float(source.make(Rng(0), 0.5)[1]) == 0.5


def test_the_same_seed_takes_the_same_source():
    source = Mixed(_Plain(1.0), _Plain(0.0), 0.5)
    assert [float(source.make(Rng(n), 0)[0]) for n in range(9)] == [float(source.make(Rng(n), 0)[0]) for n in range(9)]
