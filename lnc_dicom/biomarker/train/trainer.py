"""Cohort → network: FA and CBF of every region first (pre-training), then stems and disease as well (fine-tuning).

On simulated patients, who have privileged targets, all heads are trained from the first epoch on. The covariate heads
(age and sex) are fitted last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lnc_dicom.autocast import learning_precision
from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.crops import without_margin
from lnc_dicom.biomarker.network import BiomarkerArchitecture, BiomarkerNetwork, Outputs, has_region, ready
from lnc_dicom.biomarker.train.augment import augment
from lnc_dicom.biomarker.train.batch_norm import update_batch_norm
from lnc_dicom.biomarker.train.covariates import fit_covariate_heads
from lnc_dicom.biomarker.train.targets import Scales, Targets

PHASES = ("pre-training", "fine-tuning")


@dataclass(frozen=True, slots=True)
class BiomarkerSchedule:
    """Length and learning rate of a training.

    pretraining, finetuning
        Epochs of each phase.
    batch
        Patients per step.
    rate
        Peak learning rate of the one-cycle schedule of each phase.
    """

    pretraining: int = 14
    finetuning: int = 16
    batch: int = 12
    rate: float = 1e-3
    weight_decay: float = 0.05
    seed: int = 1
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of the training curve; skills are 1 - MSE / variance on the validation patients.

    privileged is nan for studies.
    """

    phase: str
    number: int
    loss: float
    fa: float
    cbf: float
    stems: float
    accuracy: float
    privileged: float = math.nan


@dataclass(slots=True)
class TrainingRun:
    """A training in progress: the network, the scales of its targets and its curve."""

    network: BiomarkerNetwork
    scales: Scales
    curve: list[Epoch] = field(default_factory=list)


def train_network(
    cohort: Cohort,
    validation: Cohort,
    group_names: tuple[str, ...],
    schedule: BiomarkerSchedule,
    progress: Callable[[Epoch], None],
    start: BiomarkerNetwork | None = None,
    checkpoint: Path | None = None,
) -> TrainingRun:
    """Train on a cohort; the validation patients are only predicted, after every epoch.

    start
        Initial weights; None: random.
    checkpoint
        File that is written after every epoch; training resumes from it if it exists.
    """
    torch.manual_seed(schedule.seed)
    network = start or BiomarkerNetwork(BiomarkerArchitecture(cohort.regions, len(group_names)))
    network.to(schedule.device)
    run = TrainingRun(ready(network), Scales.of(cohort))
    targets = Targets(cohort, run.scales, group_names)
    for phase, epochs in zip(PHASES, (schedule.pretraining, schedule.finetuning), strict=True):
        _train_phase(run, phase, epochs, targets, validation, schedule, progress, checkpoint)
    ready(network)
    fit_covariate_heads(network, predict(network, cohort.crops, device=schedule.device), targets)
    return run


def _train_phase(  # noqa: PLR0913, PLR0917 - the one place where everything meets
    run: TrainingRun,
    phase: str,
    epochs: int,
    data: Targets,
    validation: Cohort,
    schedule: BiomarkerSchedule,
    progress: Callable[[Epoch], None],
    checkpoint: Path | None,
) -> None:
    """Train the epochs of one phase that the checkpoint does not hold yet."""
    steps = math.ceil(len(data.crops) / schedule.batch)
    optimiser = torch.optim.AdamW(run.network.parameters(), lr=schedule.rate, weight_decay=schedule.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.rate, total_steps=max(1, epochs * steps))
    done = _load_checkpoint(run, phase, optimiser, cycle, checkpoint)
    if done is None:
        return
    for number in range(done + 1, epochs + 1):
        seed = 1000 * schedule.seed + number + (phase == PHASES[1]) * 500
        rng = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout: a resumed training draws the same numbers
        run.network.train()
        losses = []
        for indices in torch.split(torch.randperm(len(data.crops), generator=rng), schedule.batch):
            crops = augment(data.crops[indices], rng).to(schedule.device)
            with learning_precision(schedule.device):
                features = run.network.features(crops)
            outputs = run.network.heads(features, has_region(crops))
            loss = _loss(outputs, data, indices, tasks=phase == PHASES[1] or data.privileged is not None)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
            optimiser.step()
            cycle.step()
            losses.append(float(loss.detach()))
        update_batch_norm(run.network, data.crops, schedule.device, schedule.batch)
        run.curve.append(_validate(run, phase, number, float(np.mean(losses)), validation, data.names))
        progress(run.curve[-1])
        _save_checkpoint(run, phase, number, optimiser, cycle, checkpoint)


def _loss(outputs: Outputs, data: Targets, indices: Tensor, *, tasks: bool) -> Tensor:
    """Squared error of the expected FA and CBF where measured, and Gaussian likelihood of the residual for its SD.

    tasks
        Add the squared error of the stems and the cross-entropy of the categories.
    Privileged targets, if there are any, add their squared error.
    """
    device = outputs.maps.device
    measured, expected = data.maps[indices].to(device), data.image_only.maps[indices].to(device)
    known = torch.isfinite(measured)
    squared = (outputs.maps - expected.nan_to_num(0.0)).square()
    residual = (outputs.maps.detach() - measured.nan_to_num(0.0)) * torch.exp(-outputs.log_sd)
    loss = ((squared + 0.5 * residual.square() + outputs.log_sd) * known).sum() / known.sum().clamp(min=1)
    if tasks:
        loss = loss + (outputs.stems - data.image_only.stems[indices].to(device)).square().mean()
        loss = loss + functional.cross_entropy(outputs.groups, data.image_only.group_probabilities[indices].to(device))
    if data.privileged is not None:
        loss = loss + (outputs.privileged - data.privileged[indices].to(device)).square().mean()
    return loss


@torch.inference_mode()
def predict(
    network: BiomarkerNetwork, crops: Tensor, demographics: Tensor | None = None, device: str = "cpu", batch: int = 8
) -> Outputs:
    """Predict crops with a margin (n, s, 2, L, P, S), in batches; the outputs are on the CPU.

    demographics
        Age and sex, (n, 2), as for `BiomarkerNetwork.heads`; None: the images alone.
    """
    network.eval()
    parts = []
    for indices in torch.split(torch.arange(len(crops)), batch):
        some = crops[indices]
        known = None if demographics is None else demographics[indices].to(device)
        with learning_precision(device):
            features = network.features(without_margin(some).to(device))
        parts.append(network.heads(features, has_region(some).to(device), known))
    return Outputs(*(torch.cat([getattr(p, f).float().cpu() for p in parts]) for f in Outputs.__slots__))


def _validate(
    run: TrainingRun, phase: str, number: int, loss: float, validation: Cohort, names: tuple[str, ...]
) -> Epoch:
    """Predict the validation patients."""
    if not len(validation):
        return Epoch(phase, number, loss, math.nan, math.nan, math.nan, math.nan)
    data = Targets(validation, run.scales, names)
    outputs = predict(run.network, validation.crops, device=str(next(run.network.parameters()).device))
    fa, cbf = (_skill(outputs.maps[..., k], data.maps[..., k]) for k in range(2))
    stems = _skill(outputs.stems, data.stems)
    accuracy = float((outputs.groups.argmax(1) == data.groups).float().mean())
    privileged = (
        math.nan if data.privileged is None else _skill(outputs.privileged.flatten(0, 1), data.privileged.flatten(0, 1))
    )
    return Epoch(phase, number, loss, fa, cbf, stems, accuracy, privileged)


def _skill(predicted: Tensor, true: Tensor) -> float:
    """1 - MSE / variance, over the values that were measured."""
    spread = (true - true.nanmean(0)).square().nanmean()
    return 1 - float((predicted - true).square().nanmean() / spread)


def _save_checkpoint(
    run: TrainingRun,
    phase: str,
    number: int,
    optimiser: torch.optim.Optimizer,
    cycle: torch.optim.lr_scheduler.LRScheduler,
    checkpoint: Path | None,
) -> None:
    if checkpoint is None:
        return
    partial = checkpoint.with_suffix(".part")
    state = {
        "network": run.network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "cycle": cycle.state_dict(),
        "phase": phase,
        "number": number,
        "curve": [astuple(e) for e in run.curve],
    }
    torch.save(state, partial)
    partial.replace(checkpoint)


def _load_checkpoint(
    run: TrainingRun,
    phase: str,
    optimiser: torch.optim.Optimizer,
    cycle: torch.optim.lr_scheduler.LRScheduler,
    checkpoint: Path | None,
) -> int | None:
    """Restore the last checkpoint; the number of finished epochs of this phase, None if a later phase has begun."""
    if checkpoint is None or not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    if PHASES.index(state["phase"]) > PHASES.index(phase):
        return None
    run.network.load_state_dict(state["network"])
    run.curve[:] = [Epoch(*row) for row in state["curve"]]
    if state["phase"] != phase:
        return 0
    optimiser.load_state_dict(state["optimiser"])
    cycle.load_state_dict(state["cycle"])
    return int(state["number"])
