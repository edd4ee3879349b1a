"""Heads → weights: one U-Net per stage, trained on images that are made on the fly.

The image of every step is seeded by (seed, step), so a run that was stopped and resumed sees the images that an
unbroken run would have seen.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from lnc_dicom.autocast import learning_precision
from lnc_dicom.segment.network import UNet, UNetArchitecture, channels_last
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.segment.train.sources import Source
from lnc_dicom.segment.train.stages import Stage

VALIDATION_SEED = 1_000_000_007
"""Far from every training seed: validation images are the same in every run."""
_VALIDATION_IMAGES = 16
_WEIGHT_DECAY = 1e-2
_GRADIENT_NORM = 3.0
_WARM_UP = 0.1
"""Fraction of the steps in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class TrainingSchedule:
    """How long and how fast a stage is trained.

    done_before
        Fraction of the training that is done before the first step: 1 for fine-tuning, so that images and loss are
        those of the end of a training.
    decay
        Of the moving average of the weights, per step.
    """

    steps: int
    peak_rate: float = 1.5e-3
    seed: int = 1
    checkpoint_every: int = 250
    workers: int = 1
    device: str = "cpu"
    done_before: float = 0.0
    decay: float = 0.999

    def done(self, step: int) -> float:
        """Fraction of the training that is done before this step."""
        return self.done_before + (1 - self.done_before) * step / self.steps

    def rate(self, step: int) -> float:
        """Learning rate of a step: one cycle, linear warm-up, cosine decay."""
        rise = max(1, int(self.steps * _WARM_UP))
        if step < rise:
            return self.peak_rate * (step + 1) / rise
        done = (step - rise) / max(1, self.steps - rise)
        return self.peak_rate * (0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of the learning curve. `dice` per class without background, on held-out heads."""

    step: int
    loss: float
    dice: tuple[float, ...]

    @property
    def mean_dice(self) -> float:
        """Mean over the classes that were present."""
        there = [d for d in self.dice if not math.isnan(d)]
        return sum(there) / len(there) if there else 0.0


class _Images(Dataset[tuple[Tensor, Tensor]]):
    """Images of a source by step."""

    def __init__(self, source: Source, seed: int, done: Callable[[int], float]) -> None:
        self.source, self.seed, self.done = source, seed, done

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return self.source.make(Rng(self.seed * 1_000_003 + step), self.done(step))


class _Steps(Sampler[int]):
    """The steps still to do, in order."""

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def dice_and_cross_entropy(
    logits: Tensor, target: Tensor, balance: float, share: float, dice_weight: float = 1.0
) -> Tensor:
    """`dice_weight` times the soft Dice loss of the classes present, plus `share` times the cross-entropy.

    logits, target (1, C, L, P, S); the target holds the share of every class in a voxel. Voxels weigh
    (1 / frequency of their class) ** balance in the cross-entropy. The Dice has squares in its denominator: it is
    best where the probabilities equal the shares.
    """
    classes = logits.shape[1]
    log_p = functional.log_softmax(logits.float(), dim=1).reshape(classes, -1)
    q = target.float().reshape(classes, -1)
    p = log_p.exp()
    size = q.sum(1)
    weight = (q.shape[1] / size.clamp(min=1)) ** balance
    cross_entropy = -share * ((q * log_p).sum(1) * weight).sum() / (size * weight).sum()
    soft_dice = (2 * (p * q).sum(1) + 1) / ((p * p).sum(1) + (q * q).sum(1) + 1)
    present = size > 0
    present[0] = False
    if not present.any():
        return cross_entropy + dice_weight * p[1:].mean()
    return dice_weight * (1 - soft_dice[present].mean()) + cross_entropy


def dice_per_class(labels: Tensor, target: Tensor, classes: int) -> list[tuple[int, int]]:
    """(twice the overlap, sum of sizes) per class without background, so that images can be pooled."""
    return [
        (2 * int(((labels == c) & (target == c)).sum()), int((labels == c).sum() + (target == c).sum()))
        for c in range(1, classes)
    ]


class Trainer:
    """One stage in training: network, moving average, optimiser and the curve so far."""

    def __init__(self, stage: Stage, schedule: TrainingSchedule, start: UNet | None = None) -> None:
        torch.manual_seed(schedule.seed)
        self.stage, self.schedule = stage, schedule
        self.network = channels_last(UNet(UNetArchitecture(stage.channels, stage.classes)), schedule.device)
        if start is not None:
            self.network.load_state_dict(start.state_dict())
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), weight_decay=_WEIGHT_DECAY)
        self.best = copy.deepcopy(self.average)
        self.step = 0
        self.curve: list[Progress] = []

    def run(self, training: Source, held_out: Source, checkpoint: Path, on_step: Callable[[int, float], None]) -> None:
        """Train to the end of the schedule, from the checkpoint if there is one; `on_step(step, loss)` after each."""
        if checkpoint.exists():
            self._restore(checkpoint)
        images = _Images(training, self.schedule.seed, self.schedule.done)
        steps = _Steps(self.step, self.schedule.steps)
        workers = self.schedule.workers
        loader = DataLoader(images, batch_size=1, sampler=steps, num_workers=workers, worker_init_fn=_one_thread)
        recent = 0.0
        for image, target in loader:
            loss = self._train_step(image.to(self.schedule.device), target.to(self.schedule.device))
            recent = loss if recent == 0 else 0.98 * recent + 0.02 * loss
            on_step(self.step, recent)
            if self.step % self.schedule.checkpoint_every == 0 or self.step == self.schedule.steps:
                self._evaluate(held_out, recent)
                self._save(checkpoint)

    def _train_step(self, image: Tensor, target: Tensor) -> float:
        """One step of the optimiser and of the moving average."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        image = image.contiguous(memory_format=torch.channels_last_3d)
        with learning_precision(self.schedule.device):
            logits = self.network(image)
        dice_weight = self.stage.dice_weight(self.schedule.done(self.step))
        loss = dice_and_cross_entropy(logits, target, self.stage.balance, self.stage.cross_entropy_share, dice_weight)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _GRADIENT_NORM)
        self.optimiser.step()
        self.step += 1
        decay = min(self.schedule.decay, self.step / (self.step + 20))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        return float(loss.detach())

    def _evaluate(self, held_out: Source, loss: float) -> None:
        """Add a point to the curve; keep the weights if none were better on the held-out heads."""
        point = Progress(self.step, loss, self.validate(held_out))
        if point.mean_dice >= max((p.mean_dice for p in self.curve), default=0.0):
            self.best.load_state_dict(self.average.state_dict())
        self.curve.append(point)

    @property
    def best_step(self) -> int:
        """Step of the best weights so far (the latest, where several are equal)."""
        return max(self.curve, key=lambda p: (p.mean_dice, p.step)).step if self.curve else self.step

    @torch.inference_mode()
    def validate(self, held_out: Source) -> tuple[float, ...]:
        """Dice per class, pooled over images of held-out heads.

        Their contrast is that of the end of a training, so that the points of a curve can be compared.
        """
        images = _Images(held_out, VALIDATION_SEED, lambda _: 1.0)
        sums = torch.zeros(self.stage.classes - 1, 2, dtype=torch.float64)
        for i in range(_VALIDATION_IMAGES):
            image, target = images[i]
            image = image[None].to(self.schedule.device, memory_format=torch.channels_last_3d)
            with learning_precision(self.schedule.device):
                labels = self.average(image).argmax(1)[0].cpu()
            sums += torch.tensor(dice_per_class(labels, target.argmax(0), self.stage.classes), dtype=torch.float64)
        return tuple(round(float(o / s), 4) if s else math.nan for o, s in sums)

    def _save(self, checkpoint: Path) -> None:
        """Write the checkpoint; an interrupted write leaves the earlier one."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "curve": [(p.step, p.loss, p.dice) for p in self.curve],
        }
        part = checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(checkpoint)
        lines = [json.dumps({"step": p.step, "loss": round(p.loss, 4), "dice": p.dice}) for p in self.curve]
        checkpoint.with_suffix(".curve.jsonl").write_text("\n".join(lines) + "\n")

    def _restore(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, weights_only=True, map_location=self.schedule.device)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.best.load_state_dict(state["best"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        self.curve = [Progress(step, loss, tuple(dice)) for step, loss, dice in state["curve"]]


def _one_thread(_worker: int) -> None:
    """Leave the cores to the optimiser."""
    torch.set_num_threads(1)
