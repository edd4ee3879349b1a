"""`lnc config`: write the settings, show them, hold them against the surroundings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lnc_dicom.cli.console import complaints, exits, show_line
from lnc_dicom.errors import BadSettings
from lnc_service.installation.questions import QUESTIONS, Answers, settings_text

config = typer.Typer(no_args_is_help=True, help="The settings.")

Config = Annotated[Path | None, typer.Option("--config", help="TOML file; without it, lnc.toml if it is there.")]


@config.command()
def init(
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("lnc.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,  # noqa: FBT002
) -> None:
    """Ask five questions and write the settings."""
    with exits():
        if out.exists() and not force:
            raise BadSettings(f"{out} is there already; --force writes over it")
        answers = {name: typer.prompt(question, default=usual or None) for name, question, usual in QUESTIONS[:-1]}
        name, question, usual = QUESTIONS[-1]
        answers[name] = typer.prompt(question, default=usual, show_default=False)
        out.write_text(settings_text(Answers(**answers)), encoding="utf-8")
        show_line(f"wrote {out}; next: lnc config check --config {out}")


@config.command("show")
def show_settings(file: Config = None) -> None:
    """Print the settings in force, or what is wrong with them; passwords are left out."""
    with exits():
        from lnc_service.settings import load_settings, settings_json  # noqa: PLC0415

        show_line(settings_json(load_settings(file)))


@config.command()
def check(file: Config = None) -> None:
    """Ask every destination (C-ECHO, classes), look at disk, clock, database, rules and certificates."""
    with exits():
        from lnc_service.installation.checks import Status, check_all  # noqa: PLC0415
        from lnc_service.settings import load_settings  # noqa: PLC0415

        wrong = 0
        for found in check_all(load_settings(file), datetime.now(UTC)):
            wrong += found.status is Status.WRONG
            show_line(f"{found.status.value:8} {found.name}: {found.what}")
        if wrong:
            complaints.print(f"{wrong} checks are wrong")
            raise typer.Exit(1)
