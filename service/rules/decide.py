"""Rules and what is known of a study → the rule that counts, and why. Nothing is read and nothing done here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lnc_service.rules.facts import SeriesFacts, StudyFacts
from lnc_service.rules.rule import Rule, Rules, When


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule, held against a study."""

    name: str
    wanted: str
    found: str
    holds: bool

    def __str__(self) -> str:
        """Say it aloud."""
        verdict = "as wanted" if self.holds else "not"
        return f"{self.name.replace('_', ' ')}: {self.found or 'not said'} ({verdict} {self.wanted})"


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule, and how its conditions came out."""

    name: str
    conditions: tuple[Condition, ...]

    @property
    def fits(self) -> bool:
        """Whether every condition holds."""
        return all(condition.holds for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Decision:
    """What rules say of a study.

    rule
        The first that fits; None where none does.
    tried
        It, and those before it.
    left_out
        Series that the rule leaves out.
    missing
        Patterns of series that are waited for and have not come.
    """

    rule: Rule | None
    tried: tuple[Tried, ...]
    used: tuple[SeriesFacts, ...] = ()
    left_out: tuple[SeriesFacts, ...] = ()
    missing: tuple[str, ...] = ()


def decide(rules: Rules, facts: StudyFacts) -> Decision:
    """Find the first rule that fits."""
    tried: list[Tried] = []
    for rule in rules.rule:
        tried.append(Tried(rule.name, conditions_of(rule.when, facts)))
        if tried[-1].fits:
            left_out = left_out_by(rule, facts)
            used = tuple(series for series in facts.series if series not in left_out)
            return Decision(rule, tuple(tried), used, left_out, missing_for(rule, used))
    return Decision(None, tuple(tried))


def conditions_of(when: When, facts: StudyFacts) -> tuple[Condition, ...]:
    """Hold every condition that is given against a study."""
    values = {
        "sent_by": facts.sent_by,
        "called": facts.called,
        "study_description": (facts.description,),
        "series_description": tuple(series.description for series in facts.series),
        "modality": tuple(series.modality for series in facts.series),
        "body_part": tuple(series.body_part for series in facts.series),
    }
    conditions = [
        Condition(name, " or ".join(patterns), _listed(found), any(_fits(value, patterns) for value in found))
        for name, found in values.items()
        if (patterns := getattr(when, name)) is not None
    ]
    age = "" if math.isnan(facts.age) else f"{facts.age:.0f}"
    if when.age_at_least is not None:
        conditions.append(Condition("age", f"at least {when.age_at_least:g}", age, facts.age >= when.age_at_least))
    if when.age_below is not None:
        conditions.append(Condition("age", f"below {when.age_below:g}", age, facts.age < when.age_below))
    return tuple(conditions)


def left_out_by(rule: Rule, facts: StudyFacts) -> tuple[SeriesFacts, ...]:
    """Give the series that a rule leaves out."""
    return tuple(series for series in facts.series if _fits(series.description, rule.leave_out_series))


def missing_for(rule: Rule, series: Iterable[SeriesFacts]) -> tuple[str, ...]:
    """Give the patterns of series that a rule waits for and that none of the series fits."""
    came = [one.description for one in series]
    return tuple(p for p in (rule.wait.for_series if rule.wait else ()) if not any(_fits(d, (p,)) for d in came))


def _fits(value: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(value.strip().casefold(), pattern.strip().casefold()) for pattern in patterns)


def _listed(values: Iterable[str]) -> str:
    """List each value once, in order."""
    return ", ".join(value for value in dict.fromkeys(values) if value)
