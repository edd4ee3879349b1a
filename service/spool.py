"""Bytes on disk: what was received, what is measured of it, and the results until they are delivered.

The spool, not the workflow database, is the truth of what was received.

    SPOOL/received/<study>/<sha256>.dcm     written by the receiver only
    SPOOL/manifests/<study>/<job>.json      what each job measures; written by workers
    SPOOL/closed/<study>                    has the folder's time of change when the study was closed last
    SPOOL/results/<job>/…                   written by workers only

Names are digests: the peer does not choose them, and none of them is an identifier of a patient.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

_KEY_LENGTH = 24
_JOB_KEY_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Spool:
    """The folders of one service."""

    root: Path

    @property
    def received(self) -> Path:
        """Where received objects lie."""
        return self.root / "received"

    def prepare(self) -> None:
        """Make the folders; sweep away what a crash left half written."""
        for folder in (self.received, self.root / "results"):
            folder.mkdir(parents=True, exist_ok=True)
        for part in self.received.glob("*/*.part"):
            part.unlink()

    def keep(self, study_uid: str, data: bytes) -> Path:
        """Write one object so that it is wholly there or not there, even if the power fails."""
        folder = self.received / _digest(study_uid.encode())[:_KEY_LENGTH]
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self.received)
        path = folder / f"{_digest(data)}.dcm"
        write_durably(path, data)
        return path

    def make_folders(self) -> None:
        """Make the folders that workers write to."""
        for name in ("received", "manifests", "closed", "results"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def results(self, job: str) -> Path:
        """Folder for the results of a job."""
        return self.root / "results" / job

    def job_name(self, key: str, content: str) -> str:
        """Name of the job that measures a content (a digest) of a study."""
        return f"{self.study_name(key)}-{content[:_JOB_KEY_LENGTH]}"

    def study_name(self, key: str) -> str:
        """How a study is called in jobs and logs."""
        return key[:_JOB_KEY_LENGTH]

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

    def mark_closed(self, key: str, changed_ns: int) -> None:
        """Remember that everything up to this time of change stands in the queue, or is done."""
        mark = self.root / "closed" / key
        mark.touch()
        os.utime(mark, ns=(changed_ns, changed_ns))


def write_durably(path: Path, data: bytes) -> None:
    """Write, sync and rename; another writer of the same bytes does no harm."""
    part = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
