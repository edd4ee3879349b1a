"""All commands of `lnc`: the library's, and `serve`, `worker`, `jobs`, `config`, `demo`, `validate` of the service."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lnc_dicom.cli.console import complaints, exits, screen, show_line
from lnc_dicom.cli.main import app
from lnc_dicom.errors import UnusableInput
from lnc_service.installation.command import Config, config
from lnc_service.rules.command import rules
from lnc_service.states import JobState

if TYPE_CHECKING:
    from lnc_service.jobs import Job
    from lnc_service.retention import Held
    from lnc_service.validate.main import Finding

jobs = typer.Typer(no_args_is_help=True, help="What happened to every study.")
app.add_typer(jobs, name="jobs")
app.add_typer(config, name="config")
app.add_typer(rules, name="rules")


def _until_stopped() -> threading.Event:
    """Give the event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@app.command()
def serve(file: Config = None) -> None:
    """Receive studies, measure them, send the results to the PACS, until stopped."""
    with exits():
        from lnc_service.logs import start_logging  # noqa: PLC0415
        from lnc_service.settings import load_settings  # noqa: PLC0415

        settings = load_settings(file)
        start_logging()
        from lnc_service.app import serve as run  # noqa: PLC0415 - logging first, so that imports are logged our way

        raise typer.Exit(run(settings, file, _until_stopped()))


@app.command()
def worker(
    file: Config = None,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Process without which the worker ends.")] = None,
) -> None:
    """Measure and deliver what lies in the spool, without receiving."""
    with exits():
        from lnc_service.logs import start_logging  # noqa: PLC0415
        from lnc_service.parent import when_parent_is_gone  # noqa: PLC0415
        from lnc_service.settings import load_settings  # noqa: PLC0415

        settings = load_settings(file)
        start_logging()
        from lnc_service.app import work  # noqa: PLC0415

        stop = _until_stopped()
        if parent is not None:
            when_parent_is_gone(parent, stop.set)
        work(settings, stop)


@jobs.command("list")
def list_(
    file: Config = None,
    state: Annotated[list[JobState] | None, typer.Option(help="Only jobs in this state; may be repeated.")] = None,
    find: Annotated[str, typer.Option(help="Only studies with this accession number, patient ID or date.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one job a line.")] = False,  # noqa: FBT002
) -> None:
    """List every study: what state it is in, and why there is no result where there is none."""
    with exits():
        from lnc_service.jobs import list_jobs  # noqa: PLC0415
        from lnc_service.settings import load_settings  # noqa: PLC0415

        found = list_jobs(load_settings(file), tuple(state or ()), find)
        if as_json:
            for job in found:
                show_line(json.dumps(job.as_json()))
        else:
            screen.print(_table(found))


def _table(found: Sequence[Job]) -> Table:
    """Draw a line a job, and one for each destination that does not have everything as it was made."""
    table = Table()
    for column in ("job", "state", "since", "objects", "code"):
        table.add_column(column, no_wrap=True)
    table.add_column("what happened → what to do")
    for job in found:
        reason = f"{job.what} → {job.do}" if job.what else ""
        since = job.since.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(job.name, job.state.value, since, str(job.objects), job.code, reason)
        for d in job.deliveries:
            if d.refused or d.waiting or d.instead or d.proof:
                counts = f"{d.stored} stored, {d.refused} refused, {d.waiting} waiting"
                proved = {"committed": d.committed, "seen": d.seen}
                counts += "".join(f", {count} {name}" for name, count in proved.items() if count is not None)
                said = [d.what] * bool(d.what) + [f"{file} as {name}" for file, name in d.instead]
                table.add_row("", "", "", "", d.code, "; ".join([f"{d.destination}: {counts}", *said]))
    return table


@jobs.command()
def show(name: str, file: Config = None) -> None:
    """Print the result of a job, and what each destination has of it, or why there is none."""
    with exits():
        from lnc_service.jobs import find_job  # noqa: PLC0415
        from lnc_service.settings import load_settings  # noqa: PLC0415
        from lnc_service.spool import Spool  # noqa: PLC0415

        settings = load_settings(file)
        job = find_job(settings, name)
        result = Spool(settings.spool).results(job.name) / "result.json"
        if not result.is_file():
            raise UnusableInput(f"job {name} has no result")
        deliveries = {"deliveries": [asdict(delivery) for delivery in job.deliveries]}
        show_line(json.dumps(json.loads(result.read_text(encoding="utf-8")) | deliveries, indent=2, ensure_ascii=False))


@jobs.command("retry")
def retry_(name: str, file: Config = None) -> None:
    """Run what failed of a job again; results that exist are only delivered again."""
    with exits():
        from lnc_service.jobs import retry  # noqa: PLC0415
        from lnc_service.settings import load_settings  # noqa: PLC0415

        for enqueued in retry(load_settings(file), name):
            show_line(f"enqueued {enqueued}")


@jobs.command()
def close(name: str, file: Config = None) -> None:
    """Measure what there is of a study that is arriving; wait no longer."""
    _ask(name, file, "close")


@jobs.command()
def discard(name: str, file: Config = None) -> None:
    """Measure nothing of what there is of a study that is arriving; what comes later is looked at again."""
    _ask(name, file, "discard")


def _ask(name: str, file: Path | None, what: str) -> None:
    with exits():
        from lnc_service.jobs import ask  # noqa: PLC0415
        from lnc_service.settings import load_settings  # noqa: PLC0415
        from lnc_service.spool import Asked  # noqa: PLC0415

        show_line(f"asked the workers to {what} {ask(load_settings(file), name, Asked(what))}")


@app.command()
def spool(file: Config = None) -> None:
    """Show what lies in the spool, and why."""
    with exits():
        from lnc_service.jobs import list_jobs  # noqa: PLC0415
        from lnc_service.retention import survey  # noqa: PLC0415
        from lnc_service.settings import load_settings  # noqa: PLC0415

        settings = load_settings(file)
        rows: dict[tuple[str, str], list[Held]] = {}
        for held in survey(settings, list_jobs(settings), datetime.now(UTC)):
            rows.setdefault((held.part.value, held.why.value), []).append(held)
        table = Table()
        for column in ("what", "why", "studies", "MB", "oldest"):
            table.add_column(column)
        for (part, why), found in sorted(rows.items()):
            size = sum(path.stat().st_size for held in found for path in held.folder.iterdir())
            oldest = datetime.fromtimestamp(min(held.since for held in found), UTC).astimezone()
            table.add_row(part, why, str(len(found)), f"{size / 1e6:.1f}", oldest.strftime("%Y-%m-%d"))
        screen.print(table)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where everything of the demonstration goes.")] = Path("out/demo"),
) -> None:
    """Run the whole loop on this machine: a sample head in, results back in an embedded archive."""
    with exits():
        from lnc_service.demo.main import run_demo  # noqa: PLC0415

        run_demo(folder)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="DICOM files; those of one study together.")],
    standard: Annotated[
        Path | None, typer.Option(help="Folder with an edition of the standard, for dicom-validator.")
    ] = None,
) -> None:
    """Check DICOM files with our own check and the outside validators that are installed; explain every message."""
    with exits():
        from lnc_service.validate.main import validate as check_files  # noqa: PLC0415

        findings = check_files(files, standard)
        for finding in findings:
            _show_finding(finding)
        if not all(finding.clean for finding in findings):
            raise typer.Exit(1)


def _show_finding(finding: Finding) -> None:
    """Print what one program said, and what each of its messages means."""
    where = finding.file.name if finding.file else "all files"
    outcome = f"not run: {finding.not_run}" if finding.not_run else "clean" if finding.clean else "errors"
    show_line(f"{where}: {finding.program}: {outcome}")
    for message in finding.messages:
        times = f" ({message.times} times)" if message.times > 1 else ""
        show_line(f"  {message.severity.value}: {message.text}{times}")
        if message.cause:
            show_line(f"    {message.cause} → {message.cure}")


def _on_crash(kind: type[BaseException], _value: BaseException, tb: TracebackType | None) -> None:
    """Say where a defect is without its message: messages quote values."""
    from lnc_service.logs import frames_of  # noqa: PLC0415

    complaints.print(f"[bold red]LNC-300[/] defect: {kind.__name__}", highlight=False)
    for frame in frames_of(tb)[-6:]:
        complaints.print(f"  {frame}", highlight=False, markup=False)
    complaints.print("  → Report this with the lines above.", highlight=False)


def main() -> None:
    """Run `lnc`."""
    sys.excepthook = _on_crash
    app()
