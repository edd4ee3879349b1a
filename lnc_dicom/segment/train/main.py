"""One training run from label maps to a released model, with progress at the console."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lnc_dicom.cli.console import show_line
from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.predictions import Model
from lnc_dicom.segment.calibration import Calibration
from lnc_dicom.segment.network import channels_last, load_weights
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.segment.stages import LABEL, LOCATE, Stage
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette, load_label_maps, load_palette
from lnc_dicom.segment.train.calibrate import Trial, constellation, fit_calibration, run_trials
from lnc_dicom.segment.train.model_card import NAME, Origin, write_networks, write_release
from lnc_dicom.segment.train.progress import show_training
from lnc_dicom.segment.train.sources import Synthetic
from lnc_dicom.segment.train.trainer import Schedule, Trainer


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run was asked for."""

    labels: Path
    out: Path
    version: str
    steps: Mapping[str, int]
    seed: int
    device: str
    workers: int
    held_out: tuple[int, ...]
    calibration_images: int
    data_note: str


def train_both(settings: RunSettings) -> None:
    """Train the two stages and write the release. Raises PathMissing, UnusableInput."""
    if not settings.labels.is_dir():
        raise PathMissing(f"{settings.labels} is not a folder")
    palette = load_palette(settings.labels)
    maps = load_label_maps(settings.labels, palette)
    if any(not 1 <= n <= len(maps) for n in settings.held_out) or len(settings.held_out) >= len(maps):
        raise UnusableInput(f"held-out numbers must leave some of the {len(maps)} label maps to train on")
    held_out = [maps[n - 1] for n in settings.held_out]
    training = [m for m in maps if m not in held_out]
    trainers = {
        stage.name: _train(stage, settings, training, held_out or training[:1], palette) for stage in (LOCATE, LABEL)
    }
    origin = Origin([m.name for m in training], [m.name for m in held_out], settings.data_note)
    folder = settings.out / "model"
    write_networks(folder, trainers)
    calibration, trials = _calibrate(folder, settings, training, held_out or training[:1], palette)
    write_release(folder, settings.version, trainers, origin, calibration, trials)
    show_line(f"model and card in {folder}")


def _calibrate(
    folder: Path, settings: RunSettings, training: list[LabelMap], held_out: list[LabelMap], palette: Palette
) -> tuple[Calibration, list[Trial]]:
    """Send whole synthetic heads through the networks that were just written."""
    networks = {name: load_weights(folder / f"{name}.safetensors") for name in ("locate", "label")}
    points_mm = constellation(training, palette)
    width = 2 * networks["label"].architecture.channels[-1]
    blank = Calibration(points_mm, np.zeros(width), np.ones(width), {}, {}, 0)
    segmenter = NetworkSegmenter(
        channels_last(networks["locate"], settings.device),
        channels_last(networks["label"], settings.device),
        blank,
        Model(NAME, settings.version, ""),
        settings.device,
    )
    with show_training("calibrate", settings.calibration_images) as tell:
        trials, features = run_trials(
            segmenter, held_out, palette, settings.calibration_images, lambda done: tell(done, math.nan)
        )
    return fit_calibration(points_mm, trials, features), trials


def _train(
    stage: Stage, settings: RunSettings, training: list[LabelMap], held_out: list[LabelMap], palette: Palette
) -> Trainer:
    schedule = Schedule(
        settings.steps[stage.name], seed=settings.seed, workers=settings.workers, device=settings.device
    )
    trainer = Trainer(stage, schedule)
    with show_training(stage.name, schedule.steps) as tell:
        images, looked_at = (Synthetic(maps, palette, stage.recipe) for maps in (training, held_out))
        trainer.run(images, looked_at, settings.out / f"{stage.name}.pt", tell)
    show_line(f"{stage.name}: loss {trainer.curve[-1].loss:.3f}, Dice {trainer.curve[-1].dice}")
    return trainer
