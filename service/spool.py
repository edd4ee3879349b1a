"""Bytes on disk: what was received, what is measured of it, and the results until they are delivered.

The spool, not the workflow database, is the truth of what was received.

    SPOOL/arriving/<number>.part            written by the receiver only: objects that are not whole yet
    SPOOL/received/<study>/<sha256>.dcm     written by the receiver only
    SPOOL/unused/<sha256>.dcm               written by the receiver only: private SOP classes, never looked at
    SPOOL/manifests/<study>/<job>.json      what each job measures; written by workers
    SPOOL/closed/<study>                    has the folder's time of change when the study was closed last
    SPOOL/results/<job>/…                   written by workers only
    SPOOL/asked/<study>                     what an operator asks of a study that is arriving; workers answer it
    SPOOL/commitments/<digest>.…            written by the receiver and by workers: `commitment/answers.py`
    SPOOL/rules.toml                        the rules in force, in case their file is wrong at the next start

Names are digests: the peer does not choose them, and none of them is an identifier of a patient.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lnc_service.arriving import PART, Arriving, is_abandoned, is_torn, sync_folder

_KEY_LENGTH = 24
_JOB_KEY_LENGTH = 12
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Another after every start of the machine (Linux)."""
_UNSYNCED_S = 600.0
"""What was written in the last minutes before the newest object may not have been synced when the power failed."""


class Asked(StrEnum):
    """What an operator asks of a study that is still arriving."""

    CLOSE = "close"
    """Measure what is there; wait no longer."""
    DISCARD = "discard"
    """Measure nothing of what is there; what arrives later is looked at again."""


@dataclass(frozen=True, slots=True)
class Spool:
    """The folders of one service."""

    root: Path

    @property
    def received(self) -> Path:
        """Where received objects lie."""
        return self.root / "received"

    @property
    def arriving(self) -> Path:
        """Where objects lie until they are whole."""
        return self.root / "arriving"

    @property
    def unused(self) -> Path:
        """Where objects of private SOP classes lie; no job reads them."""
        return self.root / "unused"

    @property
    def commitments(self) -> Path:
        """Where answers of storage commitment lie until they are read."""
        return self.root / "commitments"

    def prepare(self) -> None:
        """Make the folders, for the owner only."""
        written = (self.root / name for name in ("manifests", "closed", "results", "asked", "commitments"))
        for folder in (self.root, self.received, self.arriving, self.unused, *written):
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(PermissionError):  # a folder of somebody else, who chose its mode
                folder.chmod(_PRIVATE_FOLDER)

    def recover(self) -> int:
        """Remove what a crash left of objects that were never acknowledged; for the receiver, before it listens.

        Parts are left by a process that died; those that another receiver is writing stay. After a restart of the
        machine the newest objects are compared with their digests too. Returns how many files were removed.
        """
        broken = [part for part in self.arriving.glob(f"*{PART}") if is_abandoned(part)]
        boot, last_boot = _boot_id(), self.root / "boot-id"
        restarted = not last_boot.is_file() or last_boot.read_text() != boot
        if restarted:
            broken += [path for path in self._newest() if is_torn(path)]
        for path in broken:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a full disk: looked at again at the next start
            if restarted:
                write_durably(last_boot, boot.encode())
        return len(broken)

    def _newest(self) -> list[Path]:
        """Objects that were written shortly before the last one."""
        written = {path: _changed(path) for path in self._kept()}
        end = max(written.values(), default=0.0)
        return [path for path, time_ in written.items() if time_ >= end - _UNSYNCED_S]

    def _kept(self) -> Iterator[Path]:
        """Every received object in a folder that changed shortly before the one that changed last."""
        folders = {path: _changed(path) for path in (self.unused, *self.received.iterdir()) if path.is_dir()}
        end = max(folders.values(), default=0.0)
        for folder, changed in folders.items():
            if changed >= end - _UNSYNCED_S:
                yield from folder.glob("*.dcm")

    def begin(self) -> Arriving:
        """Start an object; its study need not be known yet. Raises OSError."""
        return Arriving(self.arriving)

    def keep(self, study_uid: str, data: bytes) -> Path:
        """Write one object at once."""
        arriving = self.begin()
        arriving.write(data)
        return self.keep_arrived(arriving, study_uid)

    def keep_arrived(self, arriving: Arriving, study_uid: str) -> Path:
        """Put a whole object into the folder of its study, so that it outlasts a power cut. Raises OSError."""
        folder = self.received / _digest(study_uid.encode())[:_KEY_LENGTH]
        if not folder.is_dir():
            folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
            sync_folder(self.received)
        return arriving.keep(folder)

    def keep_unused(self, arriving: Arriving) -> Path:
        """Put a whole object where no job looks. Raises OSError."""
        return arriving.keep(self.unused)

    def results(self, job: str) -> Path:
        """Folder for the results of a job."""
        return self.root / "results" / job

    def job_name(self, key: str, content: str) -> str:
        """Name of the job that measures a content (a digest) of a study."""
        return f"{self.study_name(key)}-{content[:_JOB_KEY_LENGTH]}"

    def study_name(self, key: str) -> str:
        """How a study is called in jobs and logs."""
        return key[:_JOB_KEY_LENGTH]

    def study_of(self, job: str) -> str:
        """Name of the study that a job measures."""
        return job[:_JOB_KEY_LENGTH]

    def manifest(self, key: str, job: str) -> Path:
        """Where the manifest of a job lies."""
        return self.root / "manifests" / key / f"{job}.json"

    def manifests_of(self, key: str) -> list[Path]:
        """Every manifest of a study."""
        return sorted((self.root / "manifests" / key).glob("*.json"))

    def closed_ns(self, key: str) -> int:
        """Say which time of change the study's folder had when it was closed last; 0 if it never was."""
        try:
            return (self.root / "closed" / key).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def ask(self, key: str, asked: Asked) -> None:
        """Leave a request for the workers. Raises OSError."""
        write_durably(self.root / "asked" / key, asked.value.encode())

    def asked(self) -> list[tuple[str, Asked]]:
        """Give the requests that no worker has answered yet."""
        folder = self.root / "asked"
        found = [path for path in folder.iterdir() if path.suffix != PART] if folder.is_dir() else []
        known = {item.value: item for item in Asked}
        return [(path.name, known[text]) for path in found if (text := _text(path)) in known]

    def answered(self, key: str) -> None:
        """Take a request away."""
        (self.root / "asked" / key).unlink(missing_ok=True)

    def mark_closed(self, key: str, changed_ns: int) -> None:
        """Remember that everything up to this time of change stands in the queue, or is done."""
        mark = self.root / "closed" / key
        mark.touch()
        os.utime(mark, ns=(changed_ns, changed_ns))


def write_durably(path: Path, data: bytes) -> None:
    """Write, sync and rename; another writer of the same bytes does no harm."""
    part = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}{PART}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def _changed(path: Path) -> float:
    """When a file or folder was changed; long ago if somebody has removed it meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _text(path: Path) -> str:
    """Content of a small file; empty if somebody has removed it meanwhile."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _boot_id() -> str:
    return _BOOT_ID.read_text() if _BOOT_ID.is_file() else ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
