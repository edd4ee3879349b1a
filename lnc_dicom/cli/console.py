"""What the person at the console sees: progress by stage, tables, errors with advice, exit codes."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lnc_dicom.errors import LncError, StudyRejected, UnusableInput
from lnc_dicom.predictions import BiomarkerResult
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.report import Report
from lnc_dicom.types import Caveat, Measurement

OK, DEFECT, USAGE, REJECTED = 0, 1, 2, 3
"""Exit codes of every command."""

_FILE_WIDTH = 160
"""Columns where nobody looks: a log or a pipe does not wrap."""

screen = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)
complaints = Console(stderr=True)


def exit_code(error: LncError) -> int:
    """Map the family of an error to what the shell is told."""
    match error:
        case UnusableInput():
            return USAGE
        case StudyRejected():
            return REJECTED
        case _:
            return DEFECT


@contextmanager
def exits() -> Iterator[None]:
    """Turn our errors into one line on stderr and an exit code."""
    try:
        yield
    except LncError as error:
        complain(error)
        raise typer.Exit(exit_code(error)) from error


def complain(error: LncError) -> None:
    """Print code, what happened and what to do."""
    complaints.print(f"[bold red]{error.code}[/] {error.what}", highlight=False, soft_wrap=True)
    complaints.print(f"  → {error.do}", highlight=False, soft_wrap=True)


def quieten_libraries() -> None:
    """Keep other libraries' warnings and logs off the console: they quote patient data (names, dates)."""
    warnings.simplefilter("ignore")
    logging.getLogger().setLevel(logging.CRITICAL)
    for name in ("pydicom", "highdicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class Stopwatch:
    """Times stages and shows them as a progress bar on stderr."""

    def __init__(self, stages: Sequence[str]) -> None:
        self.seconds: dict[str, float] = {}
        columns = (SpinnerColumn(), TextColumn("{task.description:<10}"), BarColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=complaints, transient=True)
        self._task = self._progress.add_task("", total=len(stages))

    def __enter__(self) -> Callable[[str], AbstractContextManager[None]]:
        """Start showing; the value wraps a stage."""
        self._progress.start()
        return self.stage

    def __exit__(self, *_: object) -> None:
        """Stop showing."""
        self._progress.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage, whether it ends well or not."""
        self._progress.update(self._task, description=name)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
            self._progress.advance(self._task)


def show_report(report: Report) -> None:
    """Print volumes, FA and CBF (mean ± SD of the voxels), the series with what became of them, and the caveats."""
    quantities = [q for q in Quantity if any(q in m.statistics for m in report.measurements)]
    names = [f"{QUANTITIES[q].short_name} {side}" for q in quantities for side in ("left", "right")]
    title = "Deep grey matter, 90 % intervals of the volumes"
    table = Table("structure", "left mL", "right mL", *names, title=title, title_justify="left")
    for left, right in zip(report.measurements[::2], report.measurements[1::2], strict=True):
        means = [_mean(m, q) for q in quantities for m in (left, right)]
        table.add_row(left.structure.name, _cell(left), _cell(right), *means)
    screen.print(table)
    used = [(role, part) for role, series in report.selection.map_series.items() for part in series.parts]
    for role, series in used:
        screen.print(
            f"  used series {series.header.get('SeriesNumber', '?')}: {role.value}", style="dim", highlight=False
        )
    for failed in report.selection.failed:
        screen.print(f"  tried in vain {failed}", style="dim", highlight=False, markup=False)
    for series, reason in report.selection.passed_over:
        number = series.header.get("SeriesNumber", "?")
        screen.print(f"  passed over series {number}: {reason.value}", style="dim", highlight=False)
    if report.biomarker is not None:
        show_predictions(report.biomarker)
    show_caveats((*report.caveats, *report.prediction_caveats))


def show_predictions(found: BiomarkerResult) -> None:
    """Print what was predicted, with 90 % intervals."""
    title = found.titled(f"predicted from the {found.basis}, not measured")
    table = Table("structure", "predicted FA", "predicted CBF", title=title, title_justify="left")
    for region in found.regions:
        fa, cbf = region.fa, region.cbf
        table.add_row(
            region.structure.title,
            f"{fa.value:.2f} [dim]({fa.low:.2f} to {fa.high:.2f})[/]",
            f"{cbf.value:.0f} [dim]({cbf.low:.0f} to {cbf.high:.0f})[/]",
        )
    screen.print(table)
    for root in found.stems:
        e = root.expected
        screen.print(
            f"  LSA stems, {root.side.value}, predicted: {e.value:.1f} ({e.low:.1f} to {e.high:.1f})", highlight=False
        )
    for name, probability in found.disease.items():
        screen.print(f"  {name}, predicted probability: {100 * probability:.0f} %", highlight=False)


def _mean(measurement: Measurement, quantity: Quantity) -> str:
    statistic, digits = measurement.statistics.get(quantity), QUANTITIES[quantity].digits
    return "-" if statistic is None else f"{statistic.mean:.{digits}f} [dim]± {statistic.sd:.{digits}f}[/]"


def show_caveats(caveats: Sequence[Caveat]) -> None:
    """Print caveats on stderr."""
    for caveat in caveats:
        complaints.print(f"  {caveat.code} {caveat.text}", style="yellow", highlight=False, soft_wrap=True)


def _cell(measurement: Measurement) -> str:
    failure = measurement.failure
    if failure is not None:
        return f"[red]failed {failure.code}[/]"
    if measurement.interval_ml is None:
        return f"{measurement.volume_ml:.2f}"
    low, high = measurement.interval_ml
    return f"{measurement.volume_ml:.2f} [dim]({low:.2f} to {high:.2f})[/]"


def show_perturbation(name: str, setting: str) -> None:
    """Say which perturbation is being tested."""
    complaints.print(f"  {name}: {setting}", style="dim", highlight=False)


def show_progress(text: str) -> None:
    """Say what is being done, on stderr."""
    complaints.print(f"  {text}", style="dim", highlight=False)


def show_robustness(rows: Sequence[tuple[str, str, str, Mapping[str, float], Mapping[str, float]]]) -> None:
    """Print name, setting, refusal, and per structure the change of the volume in per cent with the Dice."""
    names = list(next((change for _, _, _, change, _ in rows if change), {}))
    table = Table("perturbation", "setting", *names, title="Volume change % (Dice) against the original head")
    for name, setting, refused, change, dice in rows:
        cells = [f"{100 * change[n]:+.1f} ({dice[n]:.2f})" for n in names] if change else [f"refused: {refused}"]
        table.add_row(name, setting, *cells)
    screen.print(table)


def show_rows(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of text."""
    table = Table(*heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    screen.print(table)


def show_timings(seconds: dict[str, float]) -> None:
    """Print the time of each stage and the whole."""
    parts = [f"{name} {value:.2f}" for name, value in seconds.items()]
    screen.print(f"  seconds: {', '.join(parts)}, together {sum(seconds.values()):.2f}", highlight=False)


def show_line(text: str) -> None:
    """Print one line, as it is."""
    screen.print(text, highlight=False, soft_wrap=True, markup=False)


def make_folder(folder: Path) -> None:
    """Make a folder for results. Raises UnusableInput where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableInput(f"cannot write to {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise UnusableInput(f"cannot write to {folder}")
