"""A finished training → a model folder that `load_model` reads: weights, calibration, digests and model card."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lnc_dicom.biomarker.calibration import FILE as CALIBRATION
from lnc_dicom.biomarker.calibration import BiomarkerCalibration, save_calibrations
from lnc_dicom.biomarker.load import NETWORK
from lnc_dicom.biomarker.network import save_network
from lnc_dicom.biomarker.train.calibrate import Skill
from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule, Epoch, TrainingRun
from lnc_dicom.report import DEMONSTRATION
from lnc_dicom.weights_file import ABOUT, sha256

CURVE = "curve.png"


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Name and version of a model, its disease categories, and the origin of its training data."""

    name: str
    version: str
    groups: tuple[str, ...]
    demonstration: bool
    data_note: str


def write_model(
    folder: Path,
    about: ModelDescription,
    run: TrainingRun,
    calibrations: Sequence[BiomarkerCalibration],
    skill: Skill,
    schedule: BiomarkerSchedule,
    trained_on: int,
) -> None:
    """Write the weights, both calibrations (age and sex known; unknown), digests, training curve and model card."""
    folder.mkdir(parents=True, exist_ok=True)
    save_network(folder / NETWORK, run.network, {"patients": str(trained_on), "seed": str(schedule.seed)})
    (folder / NETWORK).chmod(0o644)
    with_covariates, without_covariates = calibrations
    save_calibrations(folder, with_covariates, without_covariates)
    digests = {file: sha256(folder / file) for file in (NETWORK, CALIBRATION)}
    lines = [
        f"name = {json.dumps(about.name)}",
        f"version = {json.dumps(about.version)}",
        f"demonstration = {str(about.demonstration).lower()}",
        f"groups = {json.dumps(list(about.groups))}",
        "",
        "[sha256]",
        *(f'"{file}" = "{digest}"' for file, digest in digests.items()),
    ]
    (folder / ABOUT).write_text("\n".join(lines) + "\n", encoding="utf-8")
    if run.curve:
        _draw_curve(folder / CURVE, run.curve)
    (folder / "MODEL_CARD.md").write_text(_card(about, run, skill, schedule, trained_on, digests), encoding="utf-8")


def _draw_curve(path: Path, curve: Sequence[Epoch]) -> None:
    """Plot the loss, and the skill on the held-out patients, over the epochs of both phases."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second to import; only training draws

    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, skill = figure.subplots(1, 2)
    epochs = range(1, len(curve) + 1)
    loss.plot(epochs, [e.loss for e in curve], color="black")
    loss.set(title="loss", xlabel="epoch")
    for name in ("fa", "cbf", "stems", "accuracy"):
        label = "category, accuracy" if name == "accuracy" else f"{name}, 1 - MSE / variance"
        skill.plot(epochs, [getattr(e, name) for e in curve], label=label, linewidth=1)
    skill.set(title="held-out patients", xlabel="epoch", ylim=(-0.5, 1))
    skill.axhline(0, color="grey", linewidth=0.5)
    skill.legend(fontsize=8)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _card(
    about: ModelDescription,
    run: TrainingRun,
    skill: Skill,
    schedule: BiomarkerSchedule,
    trained_on: int,
    digests: dict[str, str],
) -> str:
    architecture = run.network.architecture
    weights = sum(p.numel() for p in run.network.parameters())
    rows = [
        f"| {region} | {fa:.4f} | {plain_fa:.4f} | {cbf:.2f} | {plain_cbf:.2f} |"
        for region, (fa, cbf), (plain_fa, plain_cbf) in zip(
            architecture.regions, skill.rmse, skill.mean_rmse, strict=True
        )
    ]
    return _CARD.format(
        name=about.name,
        version=about.version,
        warning=f"**{DEMONSTRATION.capitalize()}.**\n" if about.demonstration else "",
        regions=", ".join(architecture.regions),
        groups="; ".join(about.groups),
        note=about.data_note,
        trained_on=trained_on,
        weights=f"{weights / 1e6:.1f}",
        width=architecture.width,
        schedule=f"{schedule.pretraining} epochs of pre-training and {schedule.finetuning} of fine-tuning, "
        f"{schedule.batch} patients per step, AdamW, "
        f"one-cycle schedule with a peak learning rate of {schedule.rate}, seed {schedule.seed}",
        curve=f"\n![training curve]({CURVE})\n" if run.curve else "",
        torch=f"torch {torch.__version__}, {platform.machine()}",
        held_out=skill.patients,
        rows="\n".join(rows),
        stems=f"{skill.stems_rmse:.2f} (mean of the training patients: {skill.stems_mean_rmse:.2f})",
        accuracy=f"{100 * skill.accuracy:.0f} %",
        digests="\n".join(f"`{file}` SHA-256 `{digest}`" for file, digest in digests.items()),
    )


_CARD = """# {name} {version}

{warning}
A 3D ResNet18. Input: crops of {regions} of both sides from a T1-weighted image, and age and sex if the header holds
both. Output: predicted mean FA and CBF of each region, number of LSA stems per hemisphere, and disease category
({groups}).

## Intended use

Research. **Not for diagnosis.** A 1 mm T1 does not resolve the LSA: the model estimates an expected number of stems and
does not count vessels. FA and CBF are predictions, not measurements.

## Data

{note}
Trained on {trained_on} patients.

## Training

MONAI's ResNet18 with {width} channels in the first stage, 512 deep features per region, {weights} million weights;
{schedule}; {torch}.

The effect of age and sex was fitted last, by two linear heads. Where age or sex is unknown, predictions use the image
alone.
{curve}
## Results on {held_out} held-out patients

They were used for calibration only (intervals, temperature, line of the stems). RMSE in the unit of the map; in the
columns "mean", the RMSE of the mean of the training patients as the prediction.

| region | FA | FA, mean | CBF | CBF, mean |
|---|---|---|---|---|
{rows}

Stems per hemisphere, RMSE: {stems}. Category, accuracy: {accuracy}. `lnc evaluate biomarker` gives cross-validated
numbers with baselines and intervals.

{digests}
"""
