"""How far a training is: a bar at the console, lines in a log file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lnc_dicom.cli.console import complaints, is_terminal, show_line

_LINE_EVERY = 100
"""Steps between lines where nobody watches (a log file)."""


@contextmanager
def show_training(name: str, steps: int) -> Iterator[Callable[[int, float], None]]:
    """Show a bar with the rate and the time to finish; lines instead where nobody watches."""
    columns = (
        *(TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.3f}")),
        *(TextColumn("{task.speed:.2f}/s"), TimeRemainingColumn()),
    )
    with Progress(*columns, console=complaints, disable=not is_terminal()) as progress:
        task = progress.add_task(name, total=steps, loss=0.0)
        lines = _Lines(name, steps)

        def tell(step: int, loss: float) -> None:
            progress.update(task, completed=step, loss=loss)
            if not is_terminal():
                lines.tell(step, loss)

        yield tell


class _Lines:
    """The same for a log file: a line now and then, with the rate since the last and the time to finish."""

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.steps = name, steps
        self.last: tuple[int, float] | None = None

    def tell(self, step: int, loss: float) -> None:
        """Print a line if one is due."""
        now = time.monotonic()
        self.last = self.last or (step, now)
        if step % _LINE_EVERY and step != self.steps:
            return
        rate = (step - self.last[0]) / max(now - self.last[1], 1e-3)
        left = f", {rate:.2f}/s, {(self.steps - step) / rate / 60:.0f} min to go" if rate else ""
        shown = "" if math.isnan(loss) else f" loss {loss:.3f}"
        show_line(f"{self.name} {step}/{self.steps}{shown}{left}")
        self.last = (step, now)
