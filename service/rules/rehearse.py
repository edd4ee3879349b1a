"""Rules held against studies before they go live: what would happen to each, and why."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lnc_dicom.errors import UnusableInput
from lnc_service.manifest import Manifest, manifests_of
from lnc_service.rules.apply import kinds_of_destinations
from lnc_service.rules.decide import Decision, decide
from lnc_service.rules.facts import SeriesFacts, StudyFacts, facts_of
from lnc_service.rules.rule import Rules
from lnc_service.settings import Settings
from lnc_service.spool import Spool

NO_RULES = "without rules"
NO_RULE_FITS = "no rule"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What rules would do with one study.

    before
        Name of the rule under which it was closed last; empty where it was not closed yet, or is not in the spool.
    """

    study: str
    facts: StudyFacts
    decision: Decision
    before: str = ""

    @property
    def now(self) -> str:
        """Name of the rule that would count."""
        return self.decision.rule.name if self.decision.rule is not None else NO_RULE_FITS

    @property
    def changes(self) -> bool:
        """Whether another rule would count than the one under which the study was closed."""
        return self.before not in {"", self.now}


def rehearse(settings: Settings, rules: Rules, studies: Iterable[str] = ()) -> Iterator[Rehearsal]:
    """Hold rules against studies: folders, files, or names in the spool; none: every study whose images it has.

    Raises UnusableInput where a name is neither.
    """
    spool = Spool(settings.spool)
    asked = list(studies)
    for study in asked or _in_the_spool(spool):
        yield _of_spool(spool, study, rules) if not Path(study).exists() else _of_files(Path(study), rules)


def _in_the_spool(spool: Spool) -> list[str]:
    """Names of the studies whose images lie in the spool, the newest first."""
    if not spool.received.is_dir():
        return []
    folders = sorted(spool.received.iterdir(), key=lambda f: f.stat().st_mtime, reverse=True)
    return [spool.study_name(folder.name) for folder in folders if folder.is_dir()]


def _of_files(path: Path, rules: Rules) -> Rehearsal:
    files = [path] if path.is_file() else sorted(Path(f) / n for f, _, names in os.walk(path) for n in names)
    facts = facts_of(files)
    if not facts.series:
        raise UnusableInput(f"{path} holds no DICOM object")
    return Rehearsal(path.name, facts, decide(rules, facts))


def _of_spool(spool: Spool, name: str, rules: Rules) -> Rehearsal:
    begins = spool.study_of(name)
    found = [f for f in spool.received.iterdir() if f.name.startswith(begins)] if begins else []
    if len(found) != 1:
        raise UnusableInput(f"{name} is no folder, and {len(found)} studies in the spool have images under this name")
    facts = facts_of(sorted(found[0].glob("*.dcm")))
    closed = manifests_of(spool, found[0].name)
    return Rehearsal(spool.study_name(found[0].name), facts, decide(rules, facts), under(closed[-1]) if closed else "")


def under(manifest: Manifest) -> str:
    """Name of the rule under which a job was closed."""
    if manifest.rule is None:
        return NO_RULES
    return manifest.applied.name if manifest.applied is not None else NO_RULE_FITS


def explain(decision: Decision, settings: Settings) -> list[str]:
    """Say aloud what would happen and why, a line each."""
    lines = []
    for tried in decision.tried:
        reasons = "; ".join(str(c) for c in tried.conditions if tried.fits or not c.holds) or "it fits every study"
        lines.append(f"rule {tried.name!r} {'fits' if tried.fits else 'does not fit'}: {reasons}")
    rule = decision.rule
    if rule is None:
        return [*lines, "not measured: no rule fits (LNC-542)"]
    if not rule.measure:
        return [*lines, "not measured: the rule measures nothing (LNC-541)"]
    lines.append(f"measured: {', '.join(rule.measure)}, of {_series(decision.used)}")
    if decision.left_out:
        lines.append(f"left out: {_series(decision.left_out)}")
    for name, kinds in kinds_of_destinations(settings, rule, demonstration=settings.demonstration).items():
        lines.append(f"{name} gets {', '.join(kinds)}")
    lines.append(f"priority: {rule.priority or 'as images and senders say'}")
    if rule.wait is not None:
        state = f"missing now: {', '.join(decision.missing)}" if decision.missing else "all have come"
        waited = ", ".join(rule.wait.for_series)
        lines.append(f"waits for {waited}, up to {rule.wait.up_to_minutes:g} minutes; {state}")
    return lines


def _series(series: Iterable[SeriesFacts]) -> str:
    found = [f"{one.description or 'without description'} ({len(one.files)})" for one in series]
    return ", ".join(found) or "no series"
