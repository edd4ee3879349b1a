"""A finished training run → a folder that `load_segmenter` reads: weights, digests and the model card."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.calibration import FILE as CALIBRATION
from lnc_dicom.segment.calibration import VolumeCalibration, save_calibration
from lnc_dicom.segment.network import save_weights
from lnc_dicom.segment.train.calibrate import Trial, dice_with_interval
from lnc_dicom.segment.train.learning_curve import draw_curve
from lnc_dicom.segment.train.trainer import Trainer
from lnc_dicom.weights_file import sha256

NAME = "lnc-deep-grey"


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Where the data came from, and the names of the label maps and of the real heads."""

    training: Sequence[str]
    held_out: Sequence[str]
    source: str
    real: Sequence[str] = ()
    held_out_real: Sequence[str] = ()


def write_networks(folder: Path, trainers: Mapping[str, Trainer]) -> None:
    """Write the best weights of every stage. The same run gives the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage, trainer in trainers.items():
        about = {"stage": stage, "steps": str(trainer.best_step), "seed": str(trainer.schedule.seed)}
        save_weights(folder / f"{stage}.safetensors", trainer.best, about)
        (folder / f"{stage}.safetensors").chmod(0o644)


def write_release(
    folder: Path,
    version: str,
    trainers: Mapping[str, Trainer],
    data: TrainingData,
    calibration: VolumeCalibration,
    trials: Sequence[Trial],
) -> None:
    """Write calibration, digests, curves and card beside the networks."""
    digests = _write_digests(folder, version, trainers, calibration)
    for stage, trainer in trainers.items():
        draw_curve(folder / f"{stage}.png", stage, class_names(trainer), trainer.curve)
    card = _card(version, trainers, digests, data, calibration, trials)
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")


def _write_digests(folder: Path, version: str, stages: Iterable[str], calibration: VolumeCalibration) -> dict[str, str]:
    """Write the calibration and `model.toml`; return the digest of every file."""
    save_calibration(folder, calibration)
    files = [*(f"{stage}.safetensors" for stage in stages), CALIBRATION]
    digests = {file: sha256(folder / file) for file in files}
    lines = [f'name = "{NAME}"', f'version = "{version}"', "", "[sha256]"]
    lines += [f'"{file}" = "{digest}"' for file, digest in digests.items()]
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return digests


def write_fine_tuned_release(  # noqa: PLR0913, PLR0917 - everything that the card reports
    folder: Path,
    start: Path,
    version: str,
    trainer: Trainer,
    data: TrainingData,
    weights: Mapping[str, float],
    calibration: VolumeCalibration,
    trials: Sequence[Trial],
) -> None:
    """Write the same for a label network that was fine-tuned from the model in `start`, whose first stage is kept.

    weights
        Factor on the probability of every structure, from `set_extent`.
    """
    digests = _write_digests(folder, version, ("locate", "label"), calibration)
    draw_curve(folder / "label.png", "label", class_names(trainer), trainer.curve)
    about = tomllib.loads((start / "model.toml").read_text(encoding="utf-8"))
    factors = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
    data_section = _REAL_DATA.format(
        note=data.source,
        count=len(data.training),
        real=", ".join(data.real),
        held_out=", ".join([*data.held_out_real, *data.held_out]) or "none",
    )
    card = [
        f"# {NAME} {version}\n\n{_USE}",
        data_section,
        _accuracy_section(calibration, trials),
        f"## Training\n\nThe weights of {about['name']} {about['version']} were fine-tuned in stage `label`.\n",
        _locate_section((start / "MODEL_CARD.md").read_text(encoding="utf-8")),
        _stage_section("label", trainer, digests["label.safetensors"]),
        f"Weights on the probabilities, which make the volumes those of the labels: {factors}.\n",
        f"Calibration: SHA-256 `{digests[CALIBRATION]}`.\n",
        _LIMITS,
    ]
    (folder / "MODEL_CARD.md").write_text("\n".join(card), encoding="utf-8")


def _locate_section(card: str) -> str:
    """Section on the first stage, from the card of the model it was taken from."""
    _, found, rest = card.partition("### Stage `locate`")
    return (found + rest.partition("### Stage `label`")[0]).rstrip() + "\n"


def _card(
    version: str,
    trainers: Mapping[str, Trainer],
    digests: Mapping[str, str],
    data: TrainingData,
    calibration: VolumeCalibration,
    trials: Sequence[Trial],
) -> str:
    parts = [
        f"# {NAME} {version}\n\n{_USE}",
        _DATA.format(note=data.source, count=len(data.training), held_out=", ".join(data.held_out) or "none"),
        _accuracy_section(calibration, trials),
        "## Training\n",
    ]
    for stage, trainer in trainers.items():
        parts.append(_stage_section(stage, trainer, digests[f"{stage}.safetensors"]))
    parts.append(f"Calibration: SHA-256 `{digests[CALIBRATION]}`.\n")
    parts.append(_LIMITS)
    return "\n".join(parts)


def _accuracy_section(calibration: VolumeCalibration, trials: Sequence[Trial]) -> str:
    """Dice and volume error on whole synthetic heads from the held-out label maps, and the intervals' coverage."""
    rows = []
    for name in dict.fromkeys(t.name for t in trials):
        mean, low, high = dice_with_interval(trials, name)
        errors = np.array([t.volume_ml / t.true_ml - 1 for t in trials if t.name == name])
        rows.append(
            f"| {name} | {mean:.3f} ({low:.3f} to {high:.3f}) | {100 * np.median(errors):+.1f} % "
            f"| {100 * np.median(np.abs(errors)):.1f} % | {100 * calibration.coverage[name]:.0f} % |"
        )
    return _ACCURACY.format(images=calibration.images, rows="\n".join(rows))


def _stage_section(stage: str, trainer: Trainer, digest: str) -> str:
    schedule, curve = trainer.schedule, trainer.curve
    names = class_names(trainer)
    header = "| step | loss | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 2) + "|"
    shown = curve[:: max(1, len(curve) // 12)]
    shown = shown if shown[-1] is curve[-1] else [*shown, curve[-1]]
    rows = [f"| {p.step} | {p.loss:.3f} | " + " | ".join(f"{d:.3f}" for d in p.dice) + " |" for p in shown]
    return (
        f"### Stage `{stage}`\n\n"
        f"U-Net, channels {trainer.stage.channels}, {trainer.stage.synthesis.spacing_mm} mm, "
        f"{trainer.step} steps of batch 1 "
        f"(best on the held-out heads: step {trainer.best_step}), AdamW, one cycle to {schedule.peak_rate}, "
        f"seed {schedule.seed}, "
        f"moving average of the weights, torch {torch.__version__}, {platform.machine()}.\n"
        f"SHA-256 `{digest}`.\n\n"
        f"![learning curve]({stage}.png)\n\n"
        f"Dice on crops of the held-out heads:\n\n{header}\n" + "\n".join(rows) + "\n"
    )


def class_names(trainer: Trainer) -> list[str]:
    """Names of the classes without background, for tables and curves."""
    if trainer.stage.classes == len(STRUCTURES) + 1:
        return [f"{s.name} {s.side.value[0].upper()}" for s in STRUCTURES]
    return ["deep grey", "other brain"]


_USE = """Two 3D U-Nets that label the deep grey matter, the internal capsule and the lateral ventricles on
T1-weighted MR of the adult head.

## Intended use

Research on volumes of caudate, putamen, pallidum, thalamus, accumbens, lateral ventricle and internal
capsule. **Not for diagnosis.**
Input: any T1-weighted series with slices of at most 3.5 mm; the networks see it resampled to 4 mm and 1.25 mm.
"""

_DATA = """## Data

No real image was used for training: images are synthesised from whole-head label maps at every step (the approach
of SynthSeg, Billot et al., Med Image Anal 2023). {note}
{count} maps were trained on; held out for the curve below: {held_out}.
"""

_REAL_DATA = """## Data

Images of real heads and images synthesised from {count} whole-head label maps (the approach of SynthSeg, Billot et
al., Med Image Anal 2023), in random order. {note}
Real heads trained on: {real}. Held out for the curve below: {held_out}.
"""

_ACCURACY = """## Accuracy on held-out label maps

{images} whole heads synthesised at 1 mm from the held-out label maps, through the whole segmenter; mean of left and
right. The interval of the Dice is a bootstrap of heads, then images (95 %). Coverage: how often the 90 % interval of
the volume held the true one, every head judged with intervals fitted on the others. What real heads give is in
docs/measurements.md.

| structure | Dice (95 % interval) | volume error, median | absolute, median | coverage of the 90 % interval |
|---|---|---|---|---|
{rows}
"""

_LIMITS = """## Limits

Trained on the anatomy of few adults. Not validated on patients: children, tumours, large infarcts, haemorrhage,
surgery, contrast agent, 7 T. The internal capsule follows a rule on label maps
(`lnc_dicom/segment/synthesis/internal_capsule.py`), not a reader. The intervals are calibrated on synthetic
heads; on real scanners they may be too narrow. Measured accuracy on real heads: docs/measurements.md.
"""
