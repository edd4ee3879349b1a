"""The words of a rule, as they stand in TOML. A file of rules is read from the top; the first that fits counts."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from lnc_dicom.errors import BadRules
from lnc_dicom.options import Section, complaint
from lnc_dicom.outputs import Output

Pattern = Annotated[str, Field(min_length=1, max_length=64)]
"""Text in which * stands for anything and ? for one character; capitals do not matter."""
Patterns = Annotated[tuple[Pattern, ...], Field(min_length=1)]


class Measured(StrEnum):
    """What can be measured of a study."""

    VOLUMES = "volumes"
    """Volumes of the structures; everything else rests on them."""
    FA = "fa"
    CBF = "cbf"
    PREDICTIONS = "predictions"
    """What the biomarker model predicts from the T1."""


class Priority(StrEnum):
    """Place in the queue, whatever the images say."""

    STAT = "stat"
    ROUTINE = "routine"


class When(Section):
    """Which studies a rule is for. Every condition that is given must hold; without any, the rule fits every study."""

    sent_by: Patterns | None = None
    """Application entity title of the sender."""
    called: Patterns | None = None
    """Title of ours that was called."""
    study_description: Patterns | None = None
    """Study Description (0008,1030)."""
    series_description: Patterns | None = None
    """Series Description (0008,103E) of at least one series."""
    modality: Patterns | None = None
    """Modality (0008,0060) of at least one series."""
    body_part: Patterns | None = None
    """Body Part Examined (0018,0015) of at least one series."""
    age_at_least: float | None = Field(None, ge=0, le=120)
    """Age in years; a study that does not say it does not fit."""
    age_below: float | None = Field(None, gt=0, le=121)
    """Age in years; a study that does not say it does not fit."""


class Send(Section):
    """What a destination gets."""

    to: str = Field(min_length=1, max_length=64)
    """Name of the destination."""
    objects: tuple[Output, ...] | None = None
    """Kinds of objects; none: those that the settings give it."""


class Wait(Section):
    """What is waited for after a study has fallen quiet."""

    for_series: Patterns
    """Series Descriptions that must all have come."""
    up_to_minutes: float = Field(gt=0, le=24 * 60)
    """How long after the last image; then the study is measured as it is."""


class Rule(Section):
    """One rule."""

    name: str = Field(min_length=1, max_length=80)
    """What the rule is called in jobs."""
    when: When = When()
    leave_out_series: tuple[Pattern, ...] = ()
    """Series Descriptions that are not looked at."""
    measure: tuple[Measured, ...] = tuple(Measured)
    """What is measured; an empty list: nothing, and the study is rejected with LNC-541."""
    send: tuple[Send, ...] | None = None
    """Who gets what; none: every destination of the settings, as they say."""
    priority: Priority | None = None
    """Place in the queue; none: as images and senders say."""
    wait: Wait | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Rule:
        """Refuse what cannot be meant."""
        if self.measure and Measured.VOLUMES not in self.measure:
            raise ValueError("measure: everything rests on the volumes; add 'volumes', or leave the list empty")
        titles = [send.to for send in self.send or ()]
        if len(set(titles)) < len(titles):
            raise ValueError("send: a destination is named twice")
        when = self.when
        if when.age_at_least is not None and when.age_below is not None and when.age_at_least >= when.age_below:
            raise ValueError("when: no age is at least age_at_least and below age_below")
        return self

    def as_text(self) -> str:
        """Write the rule down, as a manifest keeps it."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)

    def gets(self, destination: str, usual: tuple[Output, ...]) -> tuple[Output, ...]:
        """Give the kinds of objects that a destination gets; `usual` are those of the settings."""
        if self.send is None:
            return usual
        found = [send for send in self.send if send.to == destination]
        return (usual if found[0].objects is None else found[0].objects) if found else ()


class Rules(Section):
    """A file of rules, `[[rule]]` for each."""

    rule: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _have_names_of_their_own(self) -> Rules:
        names = [rule.name for rule in self.rule]
        if len(set(names)) < len(names):
            raise ValueError("two rules have the same name")
        for rule in self.rule[:-1]:
            if rule.when == When():
                raise ValueError(f"rules after {rule.name!r} are never reached: it fits every study")
        return self


def read_rules(text: str, destinations: Iterable[str]) -> Rules:
    """Read the text of a file of rules. Raises BadRules, saying where it is wrong.

    destinations
        Names that rules may send to.
    """
    try:
        rules = Rules.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadRules(f"the rules are not TOML: {error}") from error
    except ValidationError as error:
        raise BadRules("; ".join(complaint(e) for e in error.errors(include_input=False))) from error
    known = set(destinations)
    for rule in rules.rule:
        unknown = [send.to for send in rule.send or () if send.to not in known]
        if unknown:
            raise BadRules(
                f"rule {rule.name!r} sends to {', '.join(unknown)}; the settings name {', '.join(sorted(known))}"
            )
    return rules


def rule_of(text: str) -> Rule | None:
    """Read what `Rule.as_text` wrote; None where there was no rule."""
    return Rule.model_validate_json(text) if text else None
