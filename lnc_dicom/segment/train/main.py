"""Label maps → a released model: both networks trained and calibrated in one run, which can be resumed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.predictions import Model
from lnc_dicom.segment.calibration import VolumeCalibration
from lnc_dicom.segment.network import UNet, channels_last, load_weights
from lnc_dicom.segment.pose import Constellation
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette, load_label_maps, load_palette
from lnc_dicom.segment.train.calibrate import Trial, constellation, fit_calibration, run_trials
from lnc_dicom.segment.train.model_card import NAME, TrainingData, write_networks, write_release
from lnc_dicom.segment.train.sources import Synthetic
from lnc_dicom.segment.train.stages import LABEL, LOCATE, Stage
from lnc_dicom.segment.train.trainer import Trainer, TrainingSchedule

OnStep = Callable[[str, int, int, float], None]
"""Receives the phase ("locate", "label", "extent" or "calibrate"), the steps done, all steps, the loss (nan: none)."""


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
    palette, training, held_out = read_label_maps(settings.label_maps, settings.held_out)
    trainers = {
        stage.name: _train(stage, settings, training, held_out or training[:1], palette, on_step)
        for stage in (LOCATE, LABEL)
    }
    for name, trainer in trainers.items():
        log(f"{name}: loss {trainer.curve[-1].loss:.3f}, Dice {trainer.curve[-1].dice}")
    data = TrainingData([m.name for m in training], [m.name for m in held_out], settings.data_source)
    folder = settings.out / "model"
    write_networks(folder, trainers)
    segmenter = _segmenter(folder, settings)
    images = settings.calibration_images
    calibration, trials = calibrate(segmenter, training, held_out or training[:1], palette, images, on_step)
    write_release(folder, settings.version, trainers, data, calibration, trials)
    return folder


def read_label_maps(folder: Path, held_out: Sequence[int]) -> tuple[Palette, list[LabelMap], list[LabelMap]]:
    """Read the palette, the label maps to train on and those held out (counted from 1).

    Raises PathMissing, UnusableInput.
    """
    if not folder.is_dir():
        raise PathMissing(f"{folder} is not a folder")
    palette = load_palette(folder)
    maps = load_label_maps(folder, palette)
    if any(not 1 <= n <= len(maps) for n in held_out) or len(held_out) >= len(maps):
        raise UnusableInput(f"held-out numbers must leave some of the {len(maps)} label maps to train on")
    chosen = [maps[n - 1] for n in held_out]
    return palette, [m for m in maps if m not in chosen], chosen


def _segmenter(folder: Path, settings: RunSettings) -> NetworkSegmenter:
    """Load the networks that were just written; not calibrated yet."""
    locate, label = (
        channels_last(load_weights(folder / f"{n}.safetensors"), settings.device) for n in ("locate", "label")
    )
    return NetworkSegmenter(locate, label, _blank({}, label), Model(NAME, settings.version, ""), settings.device)


def calibrate(
    segmenter: NetworkSegmenter,
    training: Sequence[LabelMap],
    held_out: Sequence[LabelMap],
    palette: Palette,
    images: int,
    on_step: OnStep,
) -> tuple[VolumeCalibration, list[Trial]]:
    """Segment whole synthetic heads from held-out label maps; return the calibration of the segmenter.

    The calibration that the segmenter has is not used.
    """
    points_mm = constellation(training, palette)
    uncalibrated = replace(segmenter, calibration=_blank(points_mm, segmenter.label))
    trials, features = run_trials(
        uncalibrated, held_out, palette, images, lambda done: on_step("calibrate", done, images, math.nan)
    )
    return fit_calibration(points_mm, trials, features), trials


def _blank(points_mm: Constellation, label: UNet) -> VolumeCalibration:
    width = 2 * label.architecture.channels[-1]
    return VolumeCalibration(points_mm, np.zeros(width), np.ones(width), {}, {}, 0)


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
    images, validation_images = (Synthetic(maps, palette, stage.synthesis) for maps in (training, held_out))
    checkpoint = settings.out / f"{stage.name}.pt"
    trainer.run(
        images, validation_images, checkpoint, lambda step, loss: on_step(stage.name, step, schedule.steps, loss)
    )
    return trainer
