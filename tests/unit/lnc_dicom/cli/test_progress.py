import io
import math

from rich.console import Console

from lnc_dicom.cli import progress
from lnc_dicom.cli.progress import TrainingProgress


def _run(console, phases):
    lines = []
    with TrainingProgress(console, lines.append) as show:
        for phase, steps, loss in phases:
            for step in range(1, steps + 1):
                show(phase, step, steps, loss)
    return lines


def test_a_log_has_a_line_every_100_steps_with_the_rate_and_the_time_to_finish(monkeypatch):
    clock = iter(range(100_000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock) * 0.5)
    lines = _run(Console(file=io.StringIO()), [("label", 1200, 0.5)])
    assert len(lines) == 12
    assert lines[5] == "label 600/1200 loss 0.500, 2.00/s, 5 min to go"
    assert lines[-1].startswith("label 1200/1200")


def test_a_phase_without_a_loss_shows_none(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    assert _run(Console(file=io.StringIO()), [("calibrate", 3, math.nan)]) == ["calibrate 3/3, 1.00/s, 0 min to go"]


def test_a_terminal_shows_a_bar_for_every_phase_from_its_first_step_on():
    """At the first step there is no rate yet."""
    screen = io.StringIO()
    lines = _run(Console(file=screen, force_terminal=True, width=120), [("locate", 1, 0.25), ("label", 20, 0.5)])
    assert lines == []
    shown = screen.getvalue()
    assert "locate" in shown
    assert "1/1" in shown
    assert "20/20" in shown
    assert "loss 0.500" in shown


def test_slow_steps_have_a_line_a_minute(monkeypatch):
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    lines = []
    with TrainingProgress(Console(file=io.StringIO()), lines.append, 60) as show:
        for step in range(7):
            show("heads", step, 10, math.nan)
    assert lines == ["heads 0/10", "heads 3/10, 0.04/s, 3 min to go", "heads 6/10, 0.04/s, 2 min to go"]
