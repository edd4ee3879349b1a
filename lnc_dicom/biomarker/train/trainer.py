"""Cohort → network: first FA and CBF of every region (pre-training), then stems and disease as well (fine-tuning).

Simulated people, of whom more is known (`privileged`), teach everything from the first epoch on. What age and sex add
is learned last, by a network that has only seen images.
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
from lnc_dicom.biomarker.network import Architecture, BiomarkerNetwork, Outputs, has_region, ready
from lnc_dicom.biomarker.train.augment import augment, inner
from lnc_dicom.biomarker.train.batch_norm import settle
from lnc_dicom.biomarker.train.covariates import learn_age_and_sex
from lnc_dicom.biomarker.train.targets import Scales, Targets


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast is learned.

    pretraining, finetuning
        Epochs of each part.
    batch
        Patients per step.
    rate
        Peak of the one cycle of each part; fine-tuning takes `finetuning_share` of it.
    """

    pretraining: int = 14
    finetuning: int = 16
    batch: int = 12
    rate: float = 1e-3
    finetuning_share: float = 1.0
    weight_decay: float = 0.05
    seed: int = 1
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the learning curve; skills are 1 - MSE / variance on the patients kept aside.

    privileged is nan for studies.
    """

    part: str
    number: int
    loss: float
    fa: float
    cbf: float
    stems: float
    accuracy: float
    privileged: float = math.nan


@dataclass(slots=True)
class Run:
    """A training in progress: what a checkpoint holds."""

    network: BiomarkerNetwork
    scales: Scales
    curve: list[Epoch] = field(default_factory=list)


def train_network(
    cohort: Cohort,
    kept_aside: Cohort,
    group_names: tuple[str, ...],
    schedule: Schedule,
    progress: Callable[[Epoch], None],
    start: BiomarkerNetwork | None = None,
    checkpoint: Path | None = None,
) -> Run:
    """Train on a cohort, watching patients that are kept aside.

    start
        Weights to begin with; None: from chance.
    checkpoint
        File that is written after every epoch, and gone on from when it is there.
    """
    torch.manual_seed(schedule.seed)
    network = start or BiomarkerNetwork(Architecture(cohort.regions, len(group_names)))
    network.to(schedule.device)
    run = Run(ready(network), Scales.of(cohort))
    targets = Targets(cohort, run.scales, group_names)
    for part, epochs, rate in (
        ("pre-training", schedule.pretraining, schedule.rate),
        ("fine-tuning", schedule.finetuning, schedule.rate * schedule.finetuning_share),
    ):
        _run_part(run, part, epochs, rate, targets, kept_aside, schedule, progress, checkpoint)
    ready(network)
    learn_age_and_sex(network, predict(network, cohort.crops, device=schedule.device), targets)
    return run


def _run_part(  # noqa: PLR0913, PLR0917 - the one place where everything meets
    run: Run,
    part: str,
    epochs: int,
    rate: float,
    data: Targets,
    kept_aside: Cohort,
    schedule: Schedule,
    progress: Callable[[Epoch], None],
    checkpoint: Path | None,
) -> None:
    """Go through the epochs of one part, from the last checkpoint on."""
    steps = math.ceil(len(data.crops) / schedule.batch)
    optimiser = torch.optim.AdamW(run.network.parameters(), lr=rate, weight_decay=schedule.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(1, epochs * steps))
    done = _restore(run, part, optimiser, cycle, checkpoint)
    for number in range(done + 1, epochs + 1):
        seed = 1000 * schedule.seed + number + (part == "fine-tuning") * 500
        chance = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout: a training that goes on draws what it would have drawn
        run.network.train()
        losses = []
        for rows in torch.split(torch.randperm(len(data.crops), generator=chance), schedule.batch):
            crops = augment(data.crops[rows], chance).to(schedule.device)
            with learning_precision(schedule.device):
                features = run.network.features(crops)
            outputs = run.network.heads(features, has_region(crops))
            loss = _loss(outputs, data, rows, tasks=part == "fine-tuning" or data.privileged is not None)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
            optimiser.step()
            cycle.step()
            losses.append(float(loss.detach()))
        settle(run.network, data.crops, schedule.device, schedule.batch)
        run.curve.append(_watch(run, part, number, float(np.mean(losses)), kept_aside, data.names))
        progress(run.curve[-1])
        _keep(run, part, number, optimiser, cycle, checkpoint)


def _loss(outputs: Outputs, data: Targets, rows: Tensor, *, tasks: bool) -> Tensor:
    """Squared error of FA and CBF where measured, and Gaussian likelihood of what remains of them.

    For the tasks also the squared error of the stems and the cross-entropy; of simulated people the privileged.
    """
    device = outputs.maps.device
    measured, expected = data.maps[rows].to(device), data.expected_maps[rows].to(device)
    known = torch.isfinite(measured)
    squared = (outputs.maps - expected.nan_to_num(0.0)).square()
    rest = (outputs.maps.detach() - measured.nan_to_num(0.0)) * torch.exp(-outputs.log_sd)
    loss = ((squared + 0.5 * rest.square() + outputs.log_sd) * known).sum() / known.sum().clamp(min=1)
    if tasks:
        loss = loss + (outputs.stems - data.expected_stems[rows].to(device)).square().mean()
        loss = loss + functional.cross_entropy(outputs.groups, data.chances[rows].to(device))
    if data.privileged is not None:
        loss = loss + (outputs.privileged - data.privileged[rows].to(device)).square().mean()
    return loss


@torch.inference_mode()
def predict(
    network: BiomarkerNetwork, crops: Tensor, person: Tensor | None = None, device: str = "cpu", batch: int = 8
) -> Outputs:
    """Everything the network says of crops with a margin, patient by patient, on the CPU.

    person
        Age and sex, (n, 2) as `heads` takes them; None: the images alone.
    """
    network.eval()
    parts = []
    for rows in torch.split(torch.arange(len(crops)), batch):
        some = crops[rows]
        with_covariates = None if person is None else person[rows].to(device)
        with learning_precision(device):
            features = network.features(inner(some).to(device))
        parts.append(network.heads(features, has_region(some).to(device), with_covariates))
    return Outputs(*(torch.cat([getattr(p, f).float().cpu() for p in parts]) for f in Outputs.__slots__))


def _watch(run: Run, part: str, number: int, loss: float, kept_aside: Cohort, names: tuple[str, ...]) -> Epoch:
    """Look at the patients kept aside."""
    if not len(kept_aside):
        return Epoch(part, number, loss, math.nan, math.nan, math.nan, math.nan)
    data = Targets(kept_aside, run.scales, names)
    outputs = predict(run.network, kept_aside.crops, device=str(next(run.network.parameters()).device))
    fa, cbf = (_skill(outputs.maps[..., k], data.maps[..., k]) for k in range(2))
    stems = _skill(outputs.stems, data.stems)
    accuracy = float((outputs.groups.argmax(1) == data.groups).float().mean())
    privileged = (
        math.nan if data.privileged is None else _skill(outputs.privileged.flatten(0, 1), data.privileged.flatten(0, 1))
    )
    return Epoch(part, number, loss, fa, cbf, stems, accuracy, privileged)


def _skill(said: Tensor, true: Tensor) -> float:
    """1 - MSE / variance, over what was measured."""
    spread = (true - true.nanmean(0)).square().nanmean()
    return 1 - float((said - true).square().nanmean() / spread)


def _keep(
    run: Run,
    part: str,
    number: int,
    optimiser: torch.optim.Optimizer,
    cycle: torch.optim.lr_scheduler.LRScheduler,
    checkpoint: Path | None,
) -> None:
    if checkpoint is None:
        return
    aside = checkpoint.with_suffix(".part")
    state = {
        "network": run.network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "cycle": cycle.state_dict(),
        "part": part,
        "number": number,
        "curve": [astuple(e) for e in run.curve],
    }
    torch.save(state, aside)
    aside.replace(checkpoint)


def _restore(
    run: Run,
    part: str,
    optimiser: torch.optim.Optimizer,
    cycle: torch.optim.lr_scheduler.LRScheduler,
    checkpoint: Path | None,
) -> int:
    """Go back to the last checkpoint; the number of epochs of this part that are done."""
    if checkpoint is None or not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    parts = ("pre-training", "fine-tuning")
    if parts.index(state["part"]) > parts.index(part):
        return 1_000_000
    run.network.load_state_dict(state["network"])
    run.curve[:] = [Epoch(*row) for row in state["curve"]]
    if state["part"] != part:
        return 0
    optimiser.load_state_dict(state["optimiser"])
    cycle.load_state_dict(state["cycle"])
    return int(state["number"])
