"""The file of rules → the rules in force. A file that changes is read again; a wrong one is refused, the old ones stay.

The rules in force are kept in the spool as well: a worker that starts while the file is wrong works by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lnc_dicom.errors import BadRules
from lnc_service.logs import log
from lnc_service.rules.rule import Rules, read_rules
from lnc_service.settings import Settings, name_of
from lnc_service.spool import write_durably

_KEPT = "rules.toml"


@dataclass(frozen=True, slots=True)
class InForce:
    """What counts now.

    rules
        None where the settings name no file: every study is measured in full and goes everywhere.
    text
        As they were written.
    refused
        What is wrong with a newer file; empty where nothing is.
    """

    rules: Rules | None
    text: str = ""
    refused: str = ""


class RuleBook:
    """Reads the rules again when their file changes."""

    def __init__(self, settings: Settings) -> None:
        self._path, self._kept = settings.rules, settings.spool / _KEPT
        self._destinations = tuple(name_of(d) for d in settings.destinations)
        self._seen: tuple[int, int, int] | None = None
        self._in_force = InForce(None)
        if self._path is not None:
            self._in_force = self._at_the_start(self._path)

    def now(self) -> InForce:
        """Give the rules in force; costs a look at the time of change of the file."""
        if self._path is not None and (changed := _changed(self._path)) != self._seen:
            self._seen = changed
            self._read_again(self._path)
        return self._in_force

    def _at_the_start(self, path: Path) -> InForce:
        """Read the file, or else what was in force. Raises BadRules where neither can be used."""
        self._seen = _changed(path)
        try:
            return self._read(path)
        except BadRules as error:
            try:
                kept = self._read(self._kept)
            except BadRules:
                raise error from None
            log.error("rules refused", extra={"code": error.code})
            return InForce(kept.rules, kept.text, error.what)

    def _read_again(self, path: Path) -> None:
        try:
            self._in_force = self._read(path)
        except BadRules as error:
            self._in_force = InForce(self._in_force.rules, self._in_force.text, error.what)
            log.error("rules refused", extra={"code": error.code})
        else:
            log.info("rules in force")

    def _read(self, path: Path) -> InForce:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadRules(f"cannot read {path}: {type(error).__name__}") from error
        found = InForce(read_rules(text, self._destinations), text)
        if path != self._kept:
            self._keep(text)
        return found

    def _keep(self, text: str) -> None:
        """Remember the rules; a spool that cannot be written is somebody else's error."""
        try:
            if not self._kept.is_file() or self._kept.read_text(encoding="utf-8") != text:
                write_durably(self._kept, text.encode())
        except OSError as error:
            log.warning("spool", exc_info=error)


def _changed(path: Path) -> tuple[int, int, int] | None:
    """Time of change, size and inode; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
