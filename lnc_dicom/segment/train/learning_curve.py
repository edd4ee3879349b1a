"""Losses and Dice of a training → its learning curve as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lnc_dicom.segment.train.trainer import Progress


def draw_curve(path: Path, title: str, names: Sequence[str], curve: Sequence[Progress]) -> None:
    """Draw loss and held-out Dice of every class over the steps."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second to import; only training draws

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    loss, dice = figure.subplots(1, 2)
    steps = [p.step for p in curve]
    loss.semilogy(steps, [p.loss for p in curve], color="black")
    loss.set(title=f"{title}: loss", xlabel="step")
    for i, name in enumerate(names):
        dice.plot(steps, [p.dice[i] for p in curve], label=name, linewidth=1)
    dice.set(title=f"{title}: Dice on held-out heads", xlabel="step", ylim=(0, 1))
    dice.legend(fontsize=7, ncols=2, loc="lower right")
    figure.savefig(path, dpi=100, metadata={"Software": None})
