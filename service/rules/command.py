"""`lnc rules`: which rules are in force, and what they would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lnc_dicom.cli.console import exits, show_line
from lnc_dicom.errors import BadRules

rules = typer.Typer(no_args_is_help=True, help="Which studies are measured, and where results go.")

Config = Annotated[Path | None, typer.Option("--config", help="TOML file; without it, lnc.toml if it is there.")]
RulesFile = Annotated[Path | None, typer.Option("--rules", help="Rules to try; without it, those in force.")]


@rules.command("test")
def try_out(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Folders, files, or studies in the spool; none: all in the spool.")
    ] = None,
    file: Config = None,
    trial: RulesFile = None,
) -> None:
    """Say what would happen to studies and why. Nothing is done to them; one that would change has an asterisk."""
    with exits():
        from lnc_service.rules.book import RuleBook  # noqa: PLC0415
        from lnc_service.rules.rehearse import explain, rehearse  # noqa: PLC0415
        from lnc_service.rules.rule import read_rules  # noqa: PLC0415
        from lnc_service.settings import load_settings, name_of  # noqa: PLC0415

        settings = load_settings(file)
        destinations = [name_of(d) for d in settings.destinations]
        found = read_rules(_text_of(trial), destinations) if trial is not None else RuleBook(settings).now().rules
        if found is None:
            raise BadRules("the settings name no file of rules; give one with --rules")
        count = changed = 0
        for rehearsal in rehearse(settings, found, studies or ()):
            count, changed = count + 1, changed + rehearsal.changes
            before = f", was {rehearsal.before}" if rehearsal.before else ""
            show_line(f"{'* ' if rehearsal.changes else ''}{rehearsal.study}: {rehearsal.now}{before}")
            for line in explain(rehearsal.decision, settings):
                show_line(f"    {line}")
        show_line(f"{count} studies, {changed} under another rule than before")


@rules.command("show")
def show(file: Config = None) -> None:
    """Print the rules in force, and what is wrong with their file if it was refused."""
    with exits():
        from lnc_service.rules.book import RuleBook  # noqa: PLC0415
        from lnc_service.settings import load_settings  # noqa: PLC0415

        found = RuleBook(load_settings(file)).now()
        show_line(found.text.strip() or "no rules: every study is measured and goes everywhere")
        if found.refused:
            raise BadRules(f"the file was refused, the rules above stay in force: {found.refused}")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRules(f"cannot read {path}: {type(error).__name__}") from error
