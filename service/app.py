"""Wires the parts: the receiver and the worker as processes of their own, and what a worker does at every look."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dbos import DBOS

from lnc_service.child import Computer
from lnc_service.engine import Parts, delivery_name, equip, launch_engine, proof_name
from lnc_service.jobs import list_jobs
from lnc_service.logs import log
from lnc_service.manifest import Closed, Manifest, Verdict, close_study, read_manifest
from lnc_service.presence import Presence, presence_of, worker_name
from lnc_service.retention import forget, forget_jobs
from lnc_service.rules.book import RuleBook
from lnc_service.rules.rule import Rules, rule_of
from lnc_service.rules.verdict import verdict_on
from lnc_service.settings import Settings
from lnc_service.spool import Asked, Spool
from lnc_service.watch import Watch
from lnc_service.workflow import (
    dropped,
    enqueue,
    forget_rows,
    is_active,
    known_jobs,
    pick_up,
    running_workers,
    take_over,
)

POLL_S = 0.5
"""How often the spool is looked at."""
LONGEST_POLL_S = 10.0
"""How often it is looked at while looks fail."""
PRESENCE_S = 5.0
"""How often it is asked whether the other workers live."""
FORGET_S = 3600.0
"""How often the spool is swept of what it has kept for its time."""
PATIENCE_S = 10.0
"""How long running steps may take to end at a stop; what does not end is resumed at the next start."""
CANNOT_RUN = 2
"""Exit status of a process of ours that would fail again: its settings, or a port that is taken."""

RECEIVER = (sys.executable, "-m", "lnc_service.receiver.receive")
WORKER = (sys.executable, "-c", "from lnc_service.cli import main; main()", "worker")


def serve(settings: Settings, config: Path | None, stop: threading.Event) -> int:
    """Run receiver and worker until told to stop; give the exit status. Neither takes the other with it."""
    Spool(settings.spool).prepare()
    options = ["--config", str(config)] if config is not None else []
    options += ["--parent", str(os.getpid())]
    receiver, worker = Supervised([*RECEIVER, *options], "receiver"), Supervised([*WORKER, *options], "worker")
    while not stop.wait(POLL_S):
        for process in (receiver, worker):
            process.keep_alive()
        if CANNOT_RUN in {receiver.status, worker.status}:
            break
    worker.stop()
    receiver.stop()
    return CANNOT_RUN if CANNOT_RUN in {receiver.status, worker.status} else 0


def work(settings: Settings, stop: threading.Event) -> None:
    """Run a worker: close studies that are complete, work the queues, take over from workers that are gone."""
    spool = Spool(settings.spool)
    spool.prepare()
    presence, name = presence_of(settings), worker_name()
    presence.hold(name)
    computer = Computer(settings)
    computer.start()
    equip(Parts(settings, spool, computer))
    launch_engine(settings, name)
    log.info("working", extra={"pid": os.getpid(), "executor": name})
    watch = Watch(spool, settings.listen.study_quiet_s, settings.listen.study_longest_s)
    book = RuleBook(settings)
    desk, others, keeper = Desk(spool, watch, book), Others(presence, name), Keeper(settings)
    _safely(desk.restore)
    failures = 0
    while not stop.wait(min(POLL_S * 2**failures, LONGEST_POLL_S)):
        went_well = [_safely(look) for look in (desk.look, others.look, keeper.look)]
        failures = 0 if all(went_well) else min(failures + 1, 10)
    DBOS.destroy(workflow_completion_timeout_sec=int(PATIENCE_S))
    computer.close()
    presence.release()


def _safely(look: Callable[[], None]) -> bool:
    """Do what is done at every look and say whether it went well; what went wrong is logged, and done again."""
    try:
        look()
    except Exception as error:  # noqa: BLE001 - nothing that a look meets may end the service
        log.error("look failed", exc_info=error)
        return False
    return True


class Desk:
    """Closes studies that are complete, and enqueues their jobs."""

    def __init__(self, spool: Spool, watch: Watch, book: RuleBook | None = None) -> None:
        self._spool, self._watch, self._book = spool, watch, book
        self._closed: list[tuple[Manifest, int]] = []
        self._waiting: dict[str, tuple[int, float]] = {}
        self._decided: dict[str, tuple[int, Rules, Verdict]] = {}

    def restore(self) -> None:
        """Enqueue every job that the spool has a manifest and images of and the database does not know."""
        known = known_jobs()
        for path in sorted((self._spool.root / "manifests").glob("*/*.json")):
            if path.stem not in known and (manifest := read_manifest(path)).used:
                enqueue(manifest)
                log.warning("restored", extra={"job": path.stem})

    def look(self) -> None:
        """Close what is complete; enqueue it as soon as an earlier job of the study has ended."""
        self._do_what_was_asked()
        for key, changed_ns, why in self._watch.look(time.time(), time.monotonic()):
            if why is Closed.QUIET and self._waits(key, changed_ns):
                continue
            try:
                self._close(key, changed_ns, why)
            except OSError as error:  # a full disk, a folder that is not ours: the other studies go on
                log.error("not closed", extra={"job": self._spool.study_name(key)}, exc_info=error)
                self._watch.postpone(key, time.monotonic())
        self._closed = [item for item in self._closed if not self._enqueue(*item)]

    def _do_what_was_asked(self) -> None:
        """Close, or take as seen, the studies for which an operator asked for it."""
        for key, asked in self._spool.asked():
            folder = self._spool.received / key
            changed_ns = folder.stat().st_mtime_ns if folder.is_dir() else 0
            if changed_ns and changed_ns != self._spool.closed_ns(key):
                if asked is Asked.CLOSE:
                    self._close(key, changed_ns, Closed.OPERATOR)
                else:
                    self._spool.mark_closed(key, changed_ns)
                    self._watch.close(key, changed_ns)
            self._spool.answered(key)

    def _waits(self, key: str, changed_ns: int) -> bool:
        """Tell whether a rule waits for series of a study that has fallen quiet. Looked up once after each change."""
        if self._book is None or self._book.now().rules is None:
            return False
        if self._waiting.get(key, (0, 0.0))[0] != changed_ns:
            verdict = self._verdict(key, changed_ns)
            rule = rule_of(verdict.rule) if verdict is not None and verdict.missing else None
            up_to_s = rule.wait.up_to_minutes * 60 if rule is not None and rule.wait is not None else 0.0
            self._waiting[key] = (changed_ns, up_to_s)
        waits = self._watch.quiet_s(key, time.monotonic()) < self._waiting[key][1]
        if not waits:
            del self._waiting[key]
        return waits

    def _verdict(self, key: str, changed_ns: int) -> Verdict | None:
        """Hold the rules in force against a study; its headers are read once after each change of it or of them."""
        rules = self._book.now().rules if self._book is not None else None
        if rules is None:
            return None
        known = self._decided.get(key)
        if known is None or known[0] != changed_ns or known[1] is not rules:
            self._decided[key] = known = (changed_ns, rules, verdict_on(self._spool, key, rules))
        return known[2]

    def _close(self, key: str, changed_ns: int, why: Closed) -> None:
        """Write the manifest of a study; without anything to measure, only remember that it was looked at."""
        verdict, closed = self._verdict(key, changed_ns), datetime.now(UTC).isoformat(timespec="milliseconds")
        manifest = close_study(self._spool, key, why, closed, verdict)
        self._decided.pop(key, None)
        if manifest is None:
            self._spool.mark_closed(key, changed_ns)
        else:
            log.info("complete", extra={"job": manifest.job, "objects": len(manifest.used), "reason": why.value})
            self._closed.append((manifest, changed_ns))
        self._watch.close(key, changed_ns)

    def _enqueue(self, manifest: Manifest, changed_ns: int) -> bool:
        """Enqueue unless an earlier job still runs: its result is to be named."""
        if any(is_active(job) for job in manifest.earlier):
            return False
        enqueue(manifest)
        self._spool.mark_closed(manifest.key, changed_ns)
        return True


class Others:
    """Looks after the other workers, and after what this one has dropped."""

    def __init__(self, presence: Presence, name: str) -> None:
        self._presence, self._name = presence, name
        self._next = 0.0
        self._dropped: set[str] = set()

    def look(self) -> None:
        """Take over what workers had in hand whose process has ended, and pick up what was dropped at two looks."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PRESENCE_S
        gone = self._presence.gone(running_workers() - {self._name})
        if gone:
            take_over(gone)
            for worker in gone:
                log.warning("worker gone", extra={"executor": worker})
        before, self._dropped = self._dropped, dropped(self._name)
        pick_up(before & self._dropped)


class Keeper:
    """Forgets what the spool and the database have kept for their time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next = time.monotonic() + FORGET_S

    def look(self) -> None:
        """Remove what may be removed, once an hour."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + FORGET_S
        jobs, now = list_jobs(self._settings), datetime.now(UTC)
        count = forget(self._settings, jobs, now)
        jobs = forget_jobs(self._settings, jobs, now)
        known = [(job.name, d.destination) for job in jobs for d in job.deliveries]
        deliveries = [name(*of) for of in known for name in (delivery_name, proof_name)]
        forget_rows([job.name for job in jobs], deliveries)
        if count or jobs:
            log.info("forgotten", extra={"objects": count + len(jobs)})


class Supervised:
    """A process of ours that is started again when it dies, with growing waits, unless it says that it cannot run."""

    def __init__(self, command: Sequence[str], name: str) -> None:
        self._command, self._name = list(command), name
        self._process = subprocess.Popen(self._command)  # noqa: S603 - our own module
        self._started, self._failures = time.monotonic(), 0

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.poll()

    def keep_alive(self) -> None:
        """Start it again if it has ended."""
        if self.status in {None, CANNOT_RUN}:
            return
        lived_s = time.monotonic() - self._started
        if self._failures and lived_s < min(2.0**self._failures, 60.0):
            return  # it ended soon after it was started: wait
        self._failures = self._failures + 1 if lived_s < 60.0 else 0  # noqa: PLR2004
        log.error("ended", extra={"program": self._name, "status": str(self.status)})
        self._process = subprocess.Popen(self._command)  # noqa: S603
        self._started = time.monotonic()

    def stop(self) -> None:
        """End it and wait."""
        if self.status is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait()
