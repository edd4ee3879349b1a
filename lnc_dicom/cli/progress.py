"""Steps of a training or heads of a cohort → a progress bar for every phase; lines in a log file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lnc_dicom.cli.console import complaints, show_line

_LINE_EVERY = 100
"""Steps between two lines of a log file."""


class TrainingProgress:
    """Shows how far each phase is, how fast it is and how long it will take; as lines where there is no terminal."""

    def __init__(
        self, console: Console = complaints, line: Callable[[str], None] = show_line, line_every_s: float = math.inf
    ) -> None:
        self._bars, self._line, self._line_every_s = console.is_terminal, line, line_every_s
        columns = (
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[shown]}")),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not self._bars)
        self._tasks: dict[str, TaskID] = {}
        self._last: dict[str, tuple[int, float]] = {}

    def __enter__(self) -> Self:
        """Start showing."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing."""
        self._progress.stop()

    def __call__(self, phase: str, step: int, steps: int, loss: float) -> None:
        """Show a step of a phase; a loss of nan is not shown."""
        shown = "" if math.isnan(loss) else f"loss {loss:.3f}"
        if not self._bars:
            self._write_line(phase, step, steps, shown)
            return
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(phase, total=steps, completed=step, shown=shown)
        task = self._tasks[phase]
        self._progress.update(task, completed=step)
        speed = self._progress.tasks[task].speed
        self._progress.update(task, shown=shown if speed is None else f"{shown} {speed:.2f}/s")

    def _write_line(self, phase: str, step: int, steps: int, shown: str) -> None:
        """Print a line every `_LINE_EVERY` steps or `line_every_s`, and at the last, with the rate since then."""
        now = time.monotonic()
        first, then = self._last.setdefault(phase, (step, now))
        if step % _LINE_EVERY and step != steps and now - then < self._line_every_s:
            return
        rate = (step - first) / max(now - then, 1e-3)
        left = f", {rate:.2f}/s, {(steps - step) / rate / 60:.0f} min to go" if rate else ""
        self._line(f"{phase} {step}/{steps}{shown and ' ' + shown}{left}")
        self._last[phase] = (step, now)
