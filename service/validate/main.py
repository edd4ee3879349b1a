"""DICOM files → what our own check, and the outside validators and readers that are installed, say about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from lnc_dicom.errors import PathMissing
from lnc_dicom.validate import Violation, check_object, check_references
from lnc_dicom.validate.objects import OURS
from lnc_service.validate.external import EDITION, PROGRAMS, TOGETHER, ask, find_program
from lnc_service.validate.messages import Message, Severity, explain

__all__ = ["Finding", "find_program", "validate"]

OWN_CHECK = "lnc-dicom"
_PARTS = (3, 4, 6)
"""Parts of the standard that dicom-validator reads."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one program said about one file; no file: about all of them together.

    fails
        Kinds of messages that count against the file: of ours new warnings too, of others' objects only errors.
    not_run
        Why the program was not asked; empty where it was.
    """

    file: Path | None
    program: str
    messages: tuple[Message, ...] = ()
    fails: tuple[Severity, ...] = (Severity.ERROR, Severity.NEW)
    not_run: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not any(message.severity in self.fails for message in self.messages)


def validate(files: Sequence[Path], standard: Path | None = None) -> list[Finding]:
    """Ask everyone who is installed about every file. Raises PathMissing.

    standard
        Folder with editions of the standard for dicom-validator; None: it is not asked.
    """
    findings: list[Finding] = []
    headers: dict[Path, Dataset] = {}
    for file in files:
        if not file.is_file():
            raise PathMissing(f"there is no file {file}")
        try:
            headers[file] = pydicom.dcmread(file, stop_before_pixels=True)
            headers[file].SOPClassUID  # noqa: B018 - a file without a class is not a DICOM object
        except (InvalidDicomError, AttributeError):
            headers.pop(file, None)
            findings.append(Finding(file, "pydicom", (Message(Severity.ERROR, "not a DICOM object"),)))
    for file, header in headers.items():
        findings += [_own(file, header, list(headers.values())), *_outside(file, header, standard)]
    return [*findings, *_together(headers)]


def _own(file: Path, header: Dataset, others: Sequence[Dataset]) -> Finding:
    """Our own check of one object and of what it refers to."""
    violations = [*check_object(header), *check_references(header, others)]
    counted = {v: violations.count(v) for v in violations}
    return Finding(file, OWN_CHECK, tuple(_message(v, n) for v, n in counted.items()))


def _message(violation: Violation, times: int) -> Message:
    where = f"{violation.rule} at {violation.where}"
    return Message(Severity.ERROR, f"{where}: {violation.what}", f"{violation.rule} is not kept.", violation.do, times)


def _outside(file: Path, header: Dataset, standard: Path | None) -> Iterator[Finding]:
    """Ask every program that knows objects of this class."""
    sop_class = str(header.SOPClassUID)
    fails = _fails(header)
    for program in (*PROGRAMS, EDITION):
        if program.sop_classes is not None and sop_class not in program.sop_classes:
            continue
        path = find_program(program.name)
        if path is None:
            yield Finding(file, program.name, not_run="not installed")
        elif program is EDITION and (standard is None or not _has_edition(standard)):
            yield Finding(file, program.name, not_run="no edition of the standard was given (--standard)")
        else:
            lines = ask(program, path, [file], standard)
            yield Finding(file, program.name, explain(program.name, lines, sop_class), fails)


def _has_edition(standard: Path) -> bool:
    """Whether a folder holds an edition as dicom-validator keeps it; what is missing it would download."""
    return any(all((e / "docbook" / f"part0{n}.xml").is_file() for n in _PARTS) for e in standard.glob("[0-9]*"))


def _together(headers: dict[Path, Dataset]) -> Iterator[Finding]:
    """Compare what the objects of one study say of patient and study."""
    if len(headers) < 2:  # noqa: PLR2004 - one cannot be compared
        return
    path = find_program(TOGETHER.name)
    if path is None:
        yield Finding(None, TOGETHER.name, not_run="not installed")
        return
    fails = max((_fails(header) for header in headers.values()), key=len)
    lines = ask(TOGETHER, path, list(headers))
    yield Finding(None, TOGETHER.name, explain(TOGETHER.name, lines), fails)


def _fails(header: Dataset) -> tuple[Severity, ...]:
    """Of what we wrote ourselves nothing may be unexplained."""
    return (Severity.ERROR, Severity.NEW) if header.get("Manufacturer") == OURS else (Severity.ERROR,)
