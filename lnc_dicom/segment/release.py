"""A finished training run → a folder that `load_segmenter` reads: weights, digests and the card that explains them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.segment.model import sha256
from lnc_dicom.segment.network import save_weights
from lnc_dicom.segment.training import Trainer

NAME = "lnc-deep-grey"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run's data came from."""

    training: Sequence[str]
    held_out: Sequence[str]
    data_note: str


def write_release(folder: Path, version: str, trainers: Mapping[str, Trainer], origin: Origin) -> None:
    """Write weights, model.toml and MODEL_CARD.md. The same run gives the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for stage, trainer in trainers.items():
        path = folder / f"{stage}.safetensors"
        about = {"stage": stage, "steps": str(trainer.step), "seed": str(trainer.schedule.seed)}
        save_weights(path, trainer.average, about)
        path.chmod(0o644)
        digests[stage] = sha256(path)
    lines = [f'name = "{NAME}"', f'version = "{version}"', "", "[sha256]"]
    lines += [f'{stage} = "{digest}"' for stage, digest in digests.items()]
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    card = _card(version, trainers, digests, origin)
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")


def _card(version: str, trainers: Mapping[str, Trainer], digests: Mapping[str, str], origin: Origin) -> str:
    parts = [
        f"# {NAME} {version}\n\n{_USE}",
        _DATA.format(note=origin.data_note, count=len(origin.training), held_out=", ".join(origin.held_out) or "none"),
        "## Training\n",
    ]
    for stage, trainer in trainers.items():
        parts.append(_stage_section(stage, trainer, digests[stage]))
    parts.append(_LIMITS)
    return "\n".join(parts)


def _stage_section(stage: str, trainer: Trainer, digest: str) -> str:
    schedule, curve = trainer.schedule, trainer.curve
    names = _class_names(trainer)
    header = "| step | loss | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 2) + "|"
    shown = curve[:: max(1, len(curve) // 12)]
    shown = shown if shown[-1] is curve[-1] else [*shown, curve[-1]]
    rows = [f"| {p.step} | {p.loss:.3f} | " + " | ".join(f"{d:.3f}" for d in p.dice) + " |" for p in shown]
    return (
        f"### Stage `{stage}`\n\n"
        f"U-Net, channels {trainer.stage.channels}, {trainer.stage.recipe.spacing_mm} mm, "
        f"{trainer.step} steps of batch 1, AdamW, one cycle to {schedule.peak_rate}, seed {schedule.seed}, "
        f"moving average of the weights, bfloat16 autocast, torch {torch.__version__}, {platform.machine()}.\n"
        f"SHA-256 `{digest}`.\n\n"
        f"Dice on images synthesised from the held-out label maps:\n\n{header}\n" + "\n".join(rows) + "\n"
    )


def _class_names(trainer: Trainer) -> list[str]:
    if trainer.stage.classes == len(STRUCTURES) + 1:
        return [f"{s.name} {s.side.value[0].upper()}" for s in STRUCTURES]
    return ["deep grey", "other brain"]


_USE = """Two 3D U-Nets that label the deep grey matter and the lateral ventricles on T1-weighted MR of the adult head.

## Intended use

Research on volumes of caudate, putamen, pallidum, thalamus, accumbens and lateral ventricle. **Not for diagnosis.**
Input: any T1-weighted series with slices of at most 3.5 mm; the networks see it resampled to 4 mm and 1.25 mm.
"""

_DATA = """## Data

No real image was used for training: images are synthesised from whole-head label maps at every step (the approach
of SynthSeg, Billot et al., Med Image Anal 2023). {note}
{count} maps were trained on; held out for the curve below: {held_out}.
"""

_LIMITS = """## Limits

Trained on the anatomy of 20 adults. Not validated: children, tumours, large infarcts, haemorrhage, surgery,
contrast-enhanced images, 7 T. Measured accuracy on real heads: docs/measurements.md.
"""
