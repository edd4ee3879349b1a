"""Bytes on disk: what was received, and the results until they are delivered.

The spool, not the workflow database, is the truth of what was received.

    SPOOL/received/<study>/<sha256>.dcm     written by the receiver only
    SPOOL/results/<job>/…                   written by the worker only

Names are digests: the peer does not choose them, and none of them is an identifier of a patient.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lnc_dicom.study.priors import FILE

_KEY_LENGTH = 24
_JOB_KEY_LENGTH = 12


@dataclass(frozen=True, slots=True)
class SpooledStudy:
    """What has been received of one study.

    key
        Digest of the Study Instance UID.
    content
        Digest of what was received: another object, another content.
    last_arrival
        Seconds since the epoch.
    """

    key: str
    folder: Path
    objects: int
    content: str
    last_arrival: float

    @property
    def job(self) -> str:
        """Name of the job that measures this content."""
        return f"{self.key[:_JOB_KEY_LENGTH]}-{self.content[:12]}"


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

    def studies(self) -> Iterator[SpooledStudy]:
        """Every study received so far."""
        for folder in sorted(self.received.iterdir()):
            study = self.study(folder.name)
            if study is not None:
                yield study

    def study(self, key: str) -> SpooledStudy | None:
        """Look at what has been received of a study; None if nothing was."""
        folder = self.received / key
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".dcm"))
        if not names:
            return None
        content = _digest("\n".join(names).encode())
        return SpooledStudy(key, folder, len(names), content, folder.stat().st_mtime)

    def results(self, job: str) -> Path:
        """Folder for the results of a job."""
        return self.root / "results" / job

    def earlier_results(self, key: str, job: str) -> list[Path]:
        """SRs that other jobs have made of the same study."""
        found = (self.root / "results").glob(f"{key[:_JOB_KEY_LENGTH]}-*/{FILE}")
        return sorted(path for path in found if path.parent.name != job)


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
