"""A job → its outcome, computed in a child process that has limits of memory and time. Both ends of the pipe.

The child reads one JSON value a line from stdin, first the settings, then jobs, and answers each job with its outcome
on stdout. It ends when stdin does, or when the process that started it is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from lnc_service.logs import log, relay, start_logging
from lnc_service.parent import when_parent_is_gone
from lnc_service.settings import Settings
from lnc_service.states import StudyOutcome

COMMAND = (sys.executable, "-m", "lnc_service.compute")
"""Program that computes."""
_LOOK_S = 0.25
"""How often the limits are compared."""
_PIPE_S = 1.0
"""Longest wait for the end of what a child that has ended had written."""
_PRIORITY = 5
"""Niceness of the child: receiving comes before computing."""


class ChildEndedError(Exception):
    """The child did not come to a result; the message says why, in numbers."""


class StoppingError(BaseException):
    """The job has no outcome: the service is being stopped, or its database fails. It goes on later."""


class Computer:
    """Runs the child, starts it again after it has ended, and gives it one job at a time."""

    def __init__(self, settings: Settings, command: Sequence[str] | None = None) -> None:
        self._settings = settings
        self._command = list(command or COMMAND)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._readers: list[threading.Thread] = []
        self._stopping = False

    def start(self) -> None:
        """Start the child if it does not run, so that it reads its weights before the first study comes."""
        with self._lock:
            self._running()

    def compute(self, key: str, job: str) -> StudyOutcome:
        """Have a job computed. Raises ChildEndedError, and StoppingError after `close`."""
        with self._lock:
            process = self._running()
            try:
                _write(process, {"key": key, "job": job})
                return self._wait(process)
            except ChildEndedError as error:
                if self._stopping:
                    raise StoppingError from None
                log.error("child ended", extra={"job": job, "reason": str(error)})
                self._end()
                raise

    def close(self) -> None:
        """End the child, whatever it is doing."""
        self._stopping = True
        if self._process is not None:
            self._process.kill()
        with self._lock:  # a job that was being computed has noticed
            self._end()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            self._command, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8", errors="replace"
        )
        leave_a_core(self._process.pid)
        self._answers = queue.Queue()
        self._readers = [
            threading.Thread(target=_pass_on, args=(self._process.stdout, self._answers), daemon=True),
            threading.Thread(target=relay, args=(self._process.stderr, "compute"), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        _write(self._process, self._settings.model_dump(mode="json"))
        return self._process

    def _wait(self, process: subprocess.Popen[str]) -> StudyOutcome:
        """Wait for the answer and keep the limits."""
        limits, start = self._settings.compute, time.monotonic()
        while True:
            try:
                answer = self._answers.get(timeout=_LOOK_S)
            except queue.Empty:
                if time.monotonic() - start > limits.time_limit_s:
                    raise ChildEndedError(f"it took longer than {limits.time_limit_s:.0f} s") from None
                if resident_mb(process.pid) > limits.memory_limit_mb:
                    raise ChildEndedError(f"it held more than {limits.memory_limit_mb} MB") from None
            else:
                if answer is not None:
                    return cast("StudyOutcome", json.loads(answer))
                status = process.wait()
                raise ChildEndedError(f"signal {-status}" if status < 0 else f"exit {status}")

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(_PIPE_S)  # they end with the child, unless a program that it started holds the pipe
        if not any(reader.is_alive() for reader in self._readers):
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                with contextlib.suppress(OSError):  # what was not sent cannot be sent any more
                    cast("IO[str]", pipe).close()
        self._process = None


def _write(process: subprocess.Popen[str], value: object) -> None:
    try:
        cast("IO[str]", process.stdin).write(json.dumps(value) + "\n")
        cast("IO[str]", process.stdin).flush()
    except (BrokenPipeError, ValueError) as error:
        raise ChildEndedError(f"exit {process.wait()} before it began") from error


def _pass_on(lines: IO[str], answers: queue.Queue[str | None]) -> None:
    """Queue every answer, and None when there will be no more."""
    for line in lines:
        answers.put(line)
    answers.put(None)


def leave_a_core(pid: int) -> None:
    """Keep a process that begins, and its threads, off one core of several (Linux): that one is for receiving.

    Niceness alone does not do it: a kernel lets a computing thread run to the next tick. On two cores the slowest in a
    hundred of the C-STOREs took 5.3 ms while a head was computed, with a core left 2.4 ms, idle 2.2 ms; the head was
    not slower.
    """
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            with contextlib.suppress(OSError):  # it has ended; or some cores are not ours to choose
                os.sched_setaffinity(pid, cores[1:])


def resident_mb(pid: int) -> float:
    """Memory that a process holds, in MB; 0 where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    found = [int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:")]
    return found[0] * 1024 / 1e6 if found else 0.0


def serve_jobs(lines: Iterator[str], answers: IO[str], work: Callable[[str, str, Settings], StudyOutcome]) -> None:
    """Answer every job that is asked for, one after the other."""
    settings = Settings(**json.loads(next(lines)))
    for line in lines:
        asked = json.loads(line)
        answers.write(json.dumps(work(asked["key"], asked["job"], settings)) + "\n")
        answers.flush()


def prepare_process() -> IO[str]:
    """Yield to the receiver, die before it when memory runs out, end with the parent; give the channel for answers.

    What libraries print goes to stderr, where it is withheld.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.nice(_PRIORITY)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("1000")
    when_parent_is_gone(os.getppid(), lambda: os._exit(0))
    start_logging()
    return answers
