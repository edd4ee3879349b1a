"""Settings → what is right and wrong about the surroundings: destinations, disk, clock, certificates, database."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from lnc_dicom.errors import LncError
from lnc_service.installation.connection import test_connection as connect
from lnc_service.rules.book import RuleBook
from lnc_service.settings import Settings, name_of

_SOON = timedelta(days=30)
_SKEW_S = 2.0
_TIME_ERROR = 5
"""What adjtimex answers while nothing keeps the clock right (Linux)."""
_TIMEX_BYTES = 512


class Status(StrEnum):
    """How a check came out."""

    GOOD = "good"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was looked at, and what was found."""

    name: str
    status: Status
    what: str


def check_all(settings: Settings, now: datetime) -> Iterator[Checked]:
    """Look at everything, one after the other."""
    yield from check_destinations(settings)
    yield check_disk(settings)
    yield check_clock()
    if (skew := check_skew(settings.spool)) is not None:
        yield skew
    yield check_database(settings)
    yield check_rules(settings)
    for path in certificates_of(settings):
        yield check_certificate(path, now)


def check_destinations(settings: Settings) -> Iterator[Checked]:
    """Ask every destination (C-ECHO) and say which objects it would take."""
    for pacs in settings.destinations:
        kinds = settings.objects_of(pacs, demonstration=settings.demonstration)
        found = connect(pacs, settings.listen.ae_title, kinds)
        yield Checked(f"destination {name_of(pacs)}", Status.GOOD if found.good else Status.WRONG, str(found))


def check_disk(settings: Settings) -> Checked:
    """Look whether the spool can be written and has room."""
    folder = next(path for path in (settings.spool, *settings.spool.resolve().parents) if path.exists())
    free_mb, wanted_mb = shutil.disk_usage(folder).free // 1_000_000, settings.listen.free_disk_mb
    what = f"{free_mb} MB free, {wanted_mb} MB are kept free"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Checked("spool", Status.WRONG, f"{folder} cannot be written by this user")
    if free_mb < wanted_mb:
        return Checked("spool", Status.WRONG, f"{what}: nothing would be received")
    return Checked("spool", Status.WARNING if free_mb < 10 * wanted_mb else Status.GOOD, what)


def check_clock() -> Checked:
    """Look whether something keeps the clock right (NTP), as the kernel knows it."""
    if sys.platform != "linux":
        return Checked("clock", Status.WARNING, "this system does not say whether it is kept right")
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state in {-1, _TIME_ERROR}:
        return Checked("clock", Status.WARNING, "nothing keeps it right; set up NTP: results carry its time")
    return Checked("clock", Status.GOOD, "kept right")


def check_skew(spool: Path) -> Checked | None:
    """Compare our clock with that of the file system, which may be another machine's; None if there is no spool yet."""
    probe = spool / ".clock"
    try:
        probe.touch()
        skew_s = probe.stat().st_mtime - time.time()
        probe.unlink()
    except OSError:
        return None
    status = Status.GOOD if abs(skew_s) < _SKEW_S else Status.WRONG
    return Checked("clock of the spool", status, f"{skew_s:+.1f} s against ours")


def check_database(settings: Settings) -> Checked:
    """Connect to the workflow database."""
    url = sa.make_url(settings.workflow_database_url)
    if url.drivername.startswith("sqlite"):
        return Checked("database", Status.GOOD, "SQLite in the spool; for workers on several machines use PostgreSQL")
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            return Checked("database", Status.GOOD, str(connection.execute(sa.text("SHOW server_version")).scalar()))
    except sa.exc.SQLAlchemyError as error:
        return Checked("database", Status.WRONG, f"no connection: {type(error).__name__}")
    finally:
        engine.dispose()


def check_rules(settings: Settings) -> Checked:
    """Read the rules as the worker would."""
    try:
        found = RuleBook(settings).now()
    except LncError as error:
        return Checked("rules", Status.WRONG, error.what)
    if found.refused:
        return Checked("rules", Status.WRONG, f"the file is refused: {found.refused}")
    count = len(found.rules.rule) if found.rules is not None else 0
    return Checked("rules", Status.GOOD, f"{count} rules" if count else "none; every study goes everywhere")


def certificates_of(settings: Settings) -> list[Path]:
    """Every certificate that the settings name."""
    named = (settings.listen.tls_certificate, settings.listen.tls_client_authority)
    return [path for path in dict.fromkeys(named) if path is not None]


def check_certificate(path: Path, now: datetime) -> Checked:
    """Look from when to when every certificate of a PEM file is valid."""
    from cryptography import x509  # noqa: PLC0415 - takes a tenth of a second, and is needed here only

    name = f"certificate {path.name}"
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        return Checked(name, Status.WRONG, f"cannot be read: {type(error).__name__}")
    begins, ends = max(c.not_valid_before_utc for c in found), min(c.not_valid_after_utc for c in found)
    if not begins <= now <= ends:
        return Checked(name, Status.WRONG, f"valid from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}, not today")
    days = (ends.astimezone(UTC) - now).days
    status = Status.WARNING if ends - now < _SOON else Status.GOOD
    return Checked(name, status, f"valid until {ends:%Y-%m-%d}, {days} days")
