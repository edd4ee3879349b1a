"""A released model + real heads with labels → the next model: its label network learns on, half from real images.

Synthetic heads alone put putamen and pallidum 1.3 to 1.8 mm too low (docs/measurements.md): where real images are at
hand, minutes of training on them put the nuclei where they are.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lnc_dicom.cli.console import show_line
from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.predictions import Model
from lnc_dicom.segment.calibration import Calibration
from lnc_dicom.segment.load import load_segmenter
from lnc_dicom.segment.network import channels_last, load_weights, save_weights
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.segment.stages import LABEL
from lnc_dicom.segment.synthesis.label_maps import LabelMap, Palette, load_label_maps, load_palette
from lnc_dicom.segment.train.calibrate import Trial, constellation, fit_calibration, run_trials
from lnc_dicom.segment.train.extent_bias import set_extent
from lnc_dicom.segment.train.model_card import NAME, Origin, write_release_learned_on
from lnc_dicom.segment.train.progress import show_training
from lnc_dicom.segment.train.real_heads import RealHead, load_real_heads, named
from lnc_dicom.segment.train.sources import Mixed, Real, Synthetic
from lnc_dicom.segment.train.trainer import Schedule, Trainer

_HELD_OUT_SHARE = 0.75
"""Part of the validation images that show real heads."""
_DECAY = 0.996
"""Of the moving average: hundreds of steps, not thousands."""


@dataclass(frozen=True, slots=True)
class LearnSettings:
    """What a run was asked for.

    start
        Folder of the model to start from; its first network stays as it is.
    images, image_labels
        Folders of T1s and of labels (FreeSurfer's numbers) on their grids, matched by the order of their names.
    share
        How often a training image shows a real head.
    held_out, held_out_heads
        Numbers of label maps and names of real heads that the curve is measured on.
    """

    start: Path
    labels: Path
    images: Path
    image_labels: Path
    out: Path
    version: str
    steps: int
    peak_rate: float
    share: float
    seed: int
    device: str
    workers: int
    held_out: tuple[int, ...]
    held_out_heads: tuple[str, ...]
    calibration_images: int
    data_note: str


@dataclass(frozen=True, slots=True)
class _Heads:
    """Everything to learn from, parted into training and held out."""

    palette: Palette
    maps: list[LabelMap]
    held_out_maps: list[LabelMap]
    real: list[RealHead]
    held_out_real: list[RealHead]


def learn_on(settings: LearnSettings) -> None:
    """Train the label network of a model on, and write the release. Raises PathMissing, UnusableInput."""
    heads = _read(settings)
    schedule = Schedule(
        settings.steps,
        settings.peak_rate,
        settings.seed,
        workers=settings.workers,
        device=settings.device,
        done_before=1.0,
        decay=_DECAY,
    )
    trainer = Trainer(LABEL, schedule, load_weights(settings.start / "label.safetensors"))
    training = Mixed(Real(heads.real, LABEL.recipe), Synthetic(heads.maps, heads.palette, LABEL.recipe), settings.share)
    held_out = Mixed(
        Real(heads.held_out_real or heads.real[:1], LABEL.recipe),
        Synthetic(heads.held_out_maps or heads.maps[:1], heads.palette, LABEL.recipe),
        _HELD_OUT_SHARE,
    )
    with show_training("label", settings.steps) as tell:
        trainer.run(training, held_out, settings.out / "label.pt", tell)
    _release(settings, heads, trainer)


def _read(settings: LearnSettings) -> _Heads:
    for folder in (settings.start, settings.labels, settings.images, settings.image_labels):
        if not folder.is_dir():
            raise PathMissing(f"{folder} is not a folder")
    palette = load_palette(settings.labels)
    maps = load_label_maps(settings.labels, palette)
    if any(not 1 <= n <= len(maps) for n in settings.held_out) or len(settings.held_out) >= len(maps):
        raise UnusableInput(f"held-out numbers must leave some of the {len(maps)} label maps to train on")
    real = load_real_heads(settings.images, settings.image_labels)
    held_out_real = named(real, settings.held_out_heads)
    training = [head for head in real if head not in held_out_real]
    if not training:
        raise UnusableInput("every real head is held out: none is left to learn from")
    held_out = [maps[n - 1] for n in settings.held_out]
    return _Heads(palette, [m for m in maps if m not in held_out], held_out, training, held_out_real)


def _release(settings: LearnSettings, heads: _Heads, trainer: Trainer) -> None:
    """Set the extent, calibrate, and write the release folder."""
    folder = settings.out / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("locate.safetensors", "locate.png"):
        shutil.copy(settings.start / file, folder / file)
    segmenter = replace(
        load_segmenter(settings.start, settings.device),
        label=channels_last(trainer.best, settings.device),
        model=Model(NAME, settings.version, ""),
    )
    with show_training("extent", len(heads.real)) as tell:
        weights = set_extent(segmenter, heads.real, lambda done: tell(done, math.nan))
    about = {"stage": "label", "steps": str(trainer.best_step), "seed": str(settings.seed)}
    save_weights(folder / "label.safetensors", segmenter.label, about)
    (folder / "label.safetensors").chmod(0o644)
    judges = heads.held_out_maps or heads.maps[:1]
    calibration, trials = calibrate(segmenter, heads.maps, judges, heads.palette, settings.calibration_images)
    origin = Origin(
        [m.name for m in heads.maps],
        [m.name for m in heads.held_out_maps],
        settings.data_note,
        [h.name for h in heads.real],
        [h.name for h in heads.held_out_real],
    )
    write_release_learned_on(folder, settings.start, settings.version, trainer, origin, weights, calibration, trials)
    show_line(f"model and card in {folder}")


def calibrate(
    segmenter: NetworkSegmenter, maps: Sequence[LabelMap], held_out: Sequence[LabelMap], palette: Palette, images: int
) -> tuple[Calibration, list[Trial]]:
    """Send whole synthetic heads through a segmenter; return its new calibration."""
    points_mm = constellation(maps, palette)
    width = 2 * segmenter.label.architecture.channels[-1]
    blank = replace(segmenter, calibration=Calibration(points_mm, np.zeros(width), np.ones(width), {}, {}, 0))
    with show_training("calibrate", images) as tell:
        trials, features = run_trials(blank, held_out, palette, images, lambda done: tell(done, math.nan))
    return fit_calibration(points_mm, trials, features), trials
