"""A released model + real heads with labels → the next model: its label network fine-tuned, in part on real images.

Trained on synthetic heads alone, the network puts putamen and pallidum 1.3 to 1.8 mm too low (docs/measurements.md);
minutes of training on real images correct that.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.predictions import Model
from lnc_dicom.segment.load import load_segmenter
from lnc_dicom.segment.network import channels_last, load_weights, save_weights
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette
from lnc_dicom.segment.train.extent_bias import set_extent
from lnc_dicom.segment.train.main import OnStep, RunSettings, calibrate, read_label_maps
from lnc_dicom.segment.train.model_card import NAME, TrainingData, write_fine_tuned_release
from lnc_dicom.segment.train.real_heads import RealHead, find_heads, load_real_heads
from lnc_dicom.segment.train.sources import Mixed, Real, Synthetic
from lnc_dicom.segment.train.stages import LABEL
from lnc_dicom.segment.train.trainer import Trainer, TrainingSchedule

_HELD_OUT_SHARE = 0.75
"""Share of the validation images that show real heads."""
_DECAY = 0.996
"""Decay of the moving average: fine-tuning takes hundreds of steps, not thousands."""


@dataclass(frozen=True, slots=True)
class RealData:
    """The model to start from and the real heads to fine-tune it on.

    start
        Folder of the model; its first network is kept.
    images, labels
        Folders of T1s and of label maps (FreeSurfer label numbers) on the same grids, in the same order of names.
    share
        Probability that a training image shows a real head.
    peak_rate
        Highest learning rate.
    held_out
        Names of the heads for validation.
    """

    start: Path
    images: Path
    labels: Path
    share: float
    peak_rate: float
    held_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Heads:
    """Label maps and real heads, split into training and held out."""

    palette: Palette
    maps: list[LabelMap]
    held_out_maps: list[LabelMap]
    real: list[RealHead]
    held_out_real: list[RealHead]


def fine_tune(settings: RunSettings, real: RealData, on_step: OnStep) -> Path:
    """Fine-tune the label network of a model; return the folder of the new one. Raises PathMissing, UnusableInput."""
    heads = _read(settings, real)
    steps, config = settings.steps[LABEL.name], LABEL.synthesis
    schedule = TrainingSchedule(
        steps,
        real.peak_rate,
        settings.seed,
        workers=settings.workers,
        device=settings.device,
        done_before=1.0,
        decay=_DECAY,
    )
    trainer = Trainer(LABEL, schedule, load_weights(real.start / "label.safetensors"))
    training = Mixed(Real(heads.real, config), Synthetic(heads.maps, heads.palette, config), real.share)
    held_out = Mixed(
        Real(heads.held_out_real or heads.real[:1], config),
        Synthetic(heads.held_out_maps or heads.maps[:1], heads.palette, config),
        _HELD_OUT_SHARE,
    )
    checkpoint = settings.out / f"{LABEL.name}.pt"
    trainer.run(training, held_out, checkpoint, lambda step, loss: on_step(LABEL.name, step, steps, loss))
    return _release(settings, real, heads, trainer, on_step)


def _read(settings: RunSettings, real: RealData) -> _Heads:
    for folder in (real.start, real.images, real.labels):
        if not folder.is_dir():
            raise PathMissing(f"{folder} is not a folder")
    palette, maps, held_out_maps = read_label_maps(settings.label_maps, settings.held_out)
    heads = load_real_heads(real.images, real.labels)
    held_out = find_heads(heads, real.held_out)
    training = [head for head in heads if head not in held_out]
    if not training:
        raise UnusableInput("every real head is held out: none is left to train on")
    return _Heads(palette, maps, held_out_maps, training, held_out)


def _release(settings: RunSettings, real: RealData, heads: _Heads, trainer: Trainer, on_step: OnStep) -> Path:
    """Set the extent, calibrate, and write the folder of the model."""
    folder = settings.out / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("locate.safetensors", "locate.png"):
        shutil.copy(real.start / file, folder / file)
    segmenter = replace(
        load_segmenter(real.start, settings.device),
        label=channels_last(trainer.best, settings.device),
        model=Model(NAME, settings.version, ""),
    )
    count = len(heads.real)
    weights = set_extent(segmenter, heads.real, lambda done: on_step("extent", done, count, math.nan))
    about = {"stage": LABEL.name, "steps": str(trainer.best_step), "seed": str(settings.seed)}
    save_weights(folder / "label.safetensors", segmenter.label, about)
    (folder / "label.safetensors").chmod(0o644)
    validation = heads.held_out_maps or heads.maps[:1]
    images = settings.calibration_images
    calibration, trials = calibrate(segmenter, heads.maps, validation, heads.palette, images, on_step)
    data = TrainingData(
        [m.name for m in heads.maps],
        [m.name for m in heads.held_out_maps],
        settings.data_source,
        [h.name for h in heads.real],
        [h.name for h in heads.held_out_real],
    )
    write_fine_tuned_release(folder, real.start, settings.version, trainer, data, weights, calibration, trials)
    return folder
