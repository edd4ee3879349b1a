"""Which workers live: each holds a lock that the kernel, or PostgreSQL, releases when its process ends.

A worker whose lock is free is gone, and its jobs are for the others. Nobody's clock and no heartbeat decides it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Protocol

import sqlalchemy as sa

from lnc_service.settings import Settings


class Presence(Protocol):
    """Says that this worker lives, and asks whether others do."""

    def hold(self, worker: str) -> None:
        """Take this worker's lock; it is held until the process ends or `release` is called."""
        ...

    def gone(self, workers: Iterable[str]) -> list[str]:
        """Of these workers, those whose process has ended."""
        ...

    def release(self) -> None:
        """Give the lock back."""
        ...


def worker_name() -> str:
    """Name this process as no other was or will be named."""
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"


def presence_of(settings: Settings) -> Presence:
    """Choose the lock: of the spool's file system where the database lies there, else of the database server."""
    url = settings.workflow_database_url
    return FilePresence(settings.spool / "workers") if url.startswith("sqlite") else ServerPresence(url)


class FilePresence:
    """Locks files in a folder that all workers of one machine share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: IO[bytes] | None = None

    def hold(self, worker: str) -> None:
        """Take this worker's lock."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._held = (self._folder / worker).open("wb")
        fcntl.flock(self._held, fcntl.LOCK_EX)

    def gone(self, workers: Iterable[str]) -> list[str]:
        """Of these workers, those whose lock is free or was never made."""
        return [worker for worker in workers if self._is_free(self._folder / worker)]

    def release(self) -> None:
        """Give the lock back and remove its file."""
        if self._held is not None:
            Path(str(self._held.name)).unlink(missing_ok=True)
            self._held.close()
            self._held = None

    def _is_free(self, path: Path) -> bool:
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        return True


class ServerPresence:
    """Holds advisory locks of PostgreSQL in a session of its own."""

    def __init__(self, url: str) -> None:
        address = sa.make_url(url).set(drivername="postgresql+psycopg")
        self._engine = sa.create_engine(address, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=0)
        self._session: sa.Connection | None = None
        self._worker = ""

    def hold(self, worker: str) -> None:
        """Take this worker's lock."""
        self._worker = worker
        self._session = self._engine.connect()
        self._try(worker)

    def gone(self, workers: Iterable[str]) -> list[str]:
        """Of these workers, those whose session has ended. Takes our own lock again if the server was restarted."""
        if self._session is None or self._session.invalidated:
            self.release()
            self.hold(self._worker)
        try:
            return [worker for worker in workers if self._is_free(worker)]
        except sa.exc.DBAPIError:
            if self._session is not None:
                self._session.invalidate()
            raise

    def release(self) -> None:
        """Give the lock back."""
        if self._session is not None:
            self._session.close()
            self._session = None
        self._engine.dispose()

    def _is_free(self, worker: str) -> bool:
        if not self._try(worker):
            return False
        self._execute("SELECT pg_advisory_unlock(:key)", worker)
        return True

    def _try(self, worker: str) -> bool:
        return bool(self._execute("SELECT pg_try_advisory_lock(:key)", worker))

    def _execute(self, statement: str, worker: str) -> object:
        key = int.from_bytes(hashlib.sha256(worker.encode()).digest()[:8], "big", signed=True)
        if self._session is None:
            raise ConnectionError("no session")
        return self._session.execute(sa.text(statement), {"key": key}).scalar()
