import dataclasses
import itertools

import pytest
import torch

from lnc_dicom.segment.network import UNet, UNetArchitecture
from lnc_dicom.segment.synthesis.label_maps import load_label_map, load_palette
from lnc_dicom.segment.train.sources import Synthetic
from lnc_dicom.segment.train.stages import LOCATE
from lnc_dicom.segment.train.trainer import Trainer, TrainingSchedule, dice_and_cross_entropy, dice_per_class

SMALL = dataclasses.replace(
    LOCATE,
    channels=(4, 8, 8),
    synthesis=dataclasses.replace(LOCATE.synthesis, shape=(32, 32, 32), spacing_mm=8.0, stride=4),
)


@pytest.fixture(scope="module")
def heads(data):
    palette = load_palette(data / "label-maps")
    head = load_label_map(data / "label-maps" / "training_seg_04.nii.gz", palette)
    return Synthetic([head], palette, SMALL.synthesis)


def _train(heads, folder, steps, schedule_steps=6):
    trainer = Trainer(SMALL, _stopped(steps, schedule_steps))
    steps_seen = []
    trainer.run(heads, heads, folder / "stage.pt", lambda step, _: steps_seen.append(step))
    return trainer, steps_seen


def _stopped(steps, whole):
    """A schedule that stops early but has the learning rates of the whole."""

    class Stopped(TrainingSchedule):
        def rate(self, step):
            return TrainingSchedule(whole).rate(step)

    return Stopped(steps, checkpoint_every=3, workers=0)


def test_a_resumed_run_ends_where_an_unbroken_one_ends(heads, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, _ = _train(heads, tmp_path / "a", 6)
    _train(heads, tmp_path / "b", 3)
    resumed, steps_seen = _train(heads, tmp_path / "b", 6)
    assert steps_seen == [4, 5, 6]
    for name, tensor in whole.average.state_dict().items():
        torch.testing.assert_close(resumed.average.state_dict()[name], tensor)
    assert [p.step for p in resumed.curve] == [3, 6]


def test_training_lowers_the_loss(heads, tmp_path):
    trainer = Trainer(SMALL, TrainingSchedule(60, checkpoint_every=60, workers=0, peak_rate=5e-3))
    losses = []
    trainer.run(heads, heads, tmp_path / "stage.pt", lambda _, loss: losses.append(loss))
    assert losses[-1] < losses[0] - 0.3


def test_the_learning_rate_rises_and_falls():
    schedule = TrainingSchedule(1000, peak_rate=1.0)
    rates = [schedule.rate(step) for step in range(1000)]
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) < 110
    assert rates[-1] < 0.01
    assert all(a >= b for a, b in itertools.pairwise(rates[100:]))


def test_fine_tuning_starts_from_the_weights_and_at_the_end_of_a_schedule():
    start = UNet(UNetArchitecture(SMALL.channels, SMALL.classes))
    trainer = Trainer(SMALL, TrainingSchedule(10, done_before=1.0), start)
    for name, tensor in start.state_dict().items():
        torch.testing.assert_close(trainer.average.state_dict()[name], tensor)
    assert trainer.schedule.done(0) == trainer.schedule.done(10) == 1.0
    assert TrainingSchedule(10).done(5) == 0.5


def test_a_perfect_segmentation_has_almost_no_loss_and_a_wrong_one_a_large_one():
    labels = torch.randint(0, 3, (1, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    target = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    perfect = target * 30
    for balance in (0.0, 0.5):
        assert float(dice_and_cross_entropy(perfect, target, balance, 1.0)) < 0.01
        assert float(dice_and_cross_entropy(perfect.roll(1, 1), target, balance, 1.0)) > 1


def test_the_loss_is_lowest_if_the_probabilities_equal_the_shares():
    shares = torch.tensor([0.3, 0.5, 0.2]).reshape(1, 3, 1, 1, 1).expand(1, 3, 4, 4, 4)
    at = {factor: float(dice_and_cross_entropy(factor * shares.log(), shares, 0.0, 1.0)) for factor in (0.5, 1, 2)}
    assert min(at, key=at.get) == 1


def test_the_best_weights_are_kept_when_later_ones_are_worse(heads, tmp_path, monkeypatch):
    dice = iter([(0.5, 0.5), (0.8, 0.8), (0.1, 0.1)])
    monkeypatch.setattr(Trainer, "validate", lambda *_: next(dice))
    trainer = Trainer(SMALL, TrainingSchedule(6, checkpoint_every=2, workers=0))
    kept = {}

    def on_step(step, _loss):
        kept[step] = {name: tensor.clone() for name, tensor in trainer.average.state_dict().items()}

    trainer.run(heads, heads, tmp_path / "stage.pt", on_step)
    assert trainer.best_step == 4
    for name, tensor in trainer.best.state_dict().items():
        torch.testing.assert_close(tensor, kept[4][name])
    resumed = Trainer(SMALL, TrainingSchedule(6, checkpoint_every=2, workers=0))
    resumed.run(heads, heads, tmp_path / "stage.pt", on_step)
    assert resumed.best_step == 4


def test_dice_is_pooled_from_overlap_and_sizes():
    a = torch.tensor([1, 1, 0, 2])
    b = torch.tensor([1, 0, 0, 2])
    assert dice_per_class(a, b, 3) == [(2, 3), (2, 2)]
