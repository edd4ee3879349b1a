"""Label maps → a released model: both networks trained and calibrated in one run, which can be resumed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.predictions import Model
from lnc_dicom.segment.calibration import VolumeCalibration
from lnc_dicom.segment.network import channels_last, load_weights
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette, load_label_maps, load_palette
from lnc_dicom.segment.train.calibrate import Trial, constellation, fit_calibration, run_trials
from lnc_dicom.segment.train.model_card import NAME, TrainingData, write_networks, write_release
from lnc_dicom.segment.train.stages import LABEL, LOCATE, Stage
from lnc_dicom.segment.train.trainer import Trainer, TrainingSchedule

OnStep = Callable[[str, int, int, float], None]
"""Receives the phase ("locate", "label" or "calibrate"), the steps done, all steps, and the loss (nan: none)."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Data, length and device of a run; `held_out` counts the label maps from 1."""

    label_maps: Path
    out: Path
    version: str
    steps: Mapping[str, int]
    seed: int
    device: str
    workers: int
    held_out: tuple[int, ...]
    calibration_images: int
    data_source: str


def train_both(settings: RunSettings, on_step: OnStep, log: Callable[[str], None]) -> Path:
    """Train and calibrate both networks; return the folder of the model. Raises PathMissing, UnusableInput."""
    if not settings.label_maps.is_dir():
        raise PathMissing(f"{settings.label_maps} is not a folder")
    palette = load_palette(settings.label_maps)
    maps = load_label_maps(settings.label_maps, palette)
    if any(not 1 <= n <= len(maps) for n in settings.held_out) or len(settings.held_out) >= len(maps):
        raise UnusableInput(f"held-out numbers must leave some of the {len(maps)} label maps to train on")
    held_out = [maps[n - 1] for n in settings.held_out]
    training = [m for m in maps if m not in held_out]
    trainers = {
        stage.name: _train(stage, settings, training, held_out or training[:1], palette, on_step)
        for stage in (LOCATE, LABEL)
    }
    for name, trainer in trainers.items():
        log(f"{name}: loss {trainer.curve[-1].loss:.3f}, Dice {trainer.curve[-1].dice}")
    data = TrainingData([m.name for m in training], [m.name for m in held_out], settings.data_source)
    folder = settings.out / "model"
    write_networks(folder, trainers)
    calibration, trials = _calibrate(folder, settings, training, held_out or training[:1], palette, on_step)
    write_release(folder, settings.version, trainers, data, calibration, trials)
    return folder


def _calibrate(
    folder: Path,
    settings: RunSettings,
    training: list[LabelMap],
    held_out: list[LabelMap],
    palette: Palette,
    on_step: OnStep,
) -> tuple[VolumeCalibration, list[Trial]]:
    """Segment whole synthetic heads with the networks that were just written."""
    networks = {name: load_weights(folder / f"{name}.safetensors") for name in ("locate", "label")}
    points_mm = constellation(training, palette)
    width = 2 * networks["label"].architecture.channels[-1]
    blank = VolumeCalibration(points_mm, np.zeros(width), np.ones(width), {}, {}, 0)
    segmenter = NetworkSegmenter(
        channels_last(networks["locate"], settings.device),
        channels_last(networks["label"], settings.device),
        blank,
        Model(NAME, settings.version, ""),
        settings.device,
    )
    images = settings.calibration_images
    trials, features = run_trials(
        segmenter, held_out, palette, images, lambda done: on_step("calibrate", done, images, math.nan)
    )
    return fit_calibration(points_mm, trials, features), trials


def _train(
    stage: Stage,
    settings: RunSettings,
    training: list[LabelMap],
    held_out: list[LabelMap],
    palette: Palette,
    on_step: OnStep,
) -> Trainer:
    schedule = TrainingSchedule(
        settings.steps[stage.name], seed=settings.seed, workers=settings.workers, device=settings.device
    )
    trainer = Trainer(stage, schedule)
    checkpoint = settings.out / f"{stage.name}.pt"
    trainer.run(
        training, held_out, palette, checkpoint, lambda step, loss: on_step(stage.name, step, schedule.steps, loss)
    )
    return trainer
