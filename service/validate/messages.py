"""A line of a validator → what it means in words: cause, cure, and whether it says anything against the object.

Validators quote values, names of patients among them. A message keeps the validator's own words up to the first value
and the names of attributes behind it; nothing else of the line.
"""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files

from pydicom.datadict import keyword_dict

_VALUE = re.compile(r"""[<"=/*]|\s'|\b[0-2](?:\.\d+){2,}|\((?!0x[0-9a-f]{4},|[0-9A-Fa-f]{4},|type )""")
"""Where values of the file may begin: after it nothing is repeated."""
_ELEMENT = re.compile(r"(?:Element|Module|IE)=?\s?<([A-Za-z0-9]+)>|attribute <([A-Za-z ]+)>")
_ERROR = re.compile(r"^(Error|ERROR|E:|F:|FATAL|Tag |Traceback|Failed|exit status|no answer)")


class Severity(Enum):
    """What a message says about the object."""

    ERROR = "error"
    NEW = "new"
    """A warning that nobody has looked into yet."""
    KNOWN = "known"
    """Looked into; says nothing against the object."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a program said, how often, and what it means."""

    severity: Severity
    text: str
    cause: str = ""
    cure: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Known:
    """A row of the table of known messages."""

    program: str
    pattern: str
    example: str
    cause: str
    cure: str
    harmless: bool
    sop_class: str = ""


@functools.cache
def known_messages() -> tuple[Known, ...]:
    """Read the table. The first row that fits a line holds."""
    text = (files("lnc_service.validate") / "known_messages.toml").read_text(encoding="utf-8")
    return tuple(Known(**row) for row in tomllib.loads(text)["message"])


def row_of(program: str, line: str, sop_class: str = "") -> Known | None:
    """Find the row for a line of a program about an object of a class."""
    for row in known_messages():
        fits = row.program in {program, "*"} and row.sop_class in {"", sop_class}
        if fits and re.search(row.pattern, line):
            return row
    return None


def explain(program: str, lines: list[str], sop_class: str = "") -> tuple[Message, ...]:
    """Say what the lines of a program mean, each sort once."""
    counted: dict[Message, int] = {}
    for line in lines:
        message = _explain(program, line, sop_class)
        counted[message] = counted.get(message, 0) + 1
    return tuple(Message(m.severity, m.text, m.cause, m.cure, n) for m, n in counted.items())


def _explain(program: str, line: str, sop_class: str) -> Message:
    row = row_of(program, line, sop_class)
    if row is None:
        return Message(Severity.ERROR if _ERROR.match(line) else Severity.NEW, without_values(line))
    return Message(Severity.KNOWN if row.harmless else Severity.ERROR, without_values(line), row.cause, row.cure)


def without_values(line: str) -> str:
    """Keep the words of a program and the names of attributes; drop whatever came from the file."""
    begins = _VALUE.search(line)
    if begins is None:
        return line.strip()
    named = (a or b for a, b in _ELEMENT.findall(line))
    standard = [n for n in dict.fromkeys(named) if n.replace(" ", "") in keyword_dict]
    head = re.sub(r"\b(Element|Module|IE|attribute)$", "", line[: begins.start()].rstrip()).rstrip(" -")
    return f"{head} [{', '.join(standard)}]" if standard else head
