"""The only writer of logs: one JSON line per event, from a list of allowed fields.

A log line cannot carry a patient: text from other libraries is withheld (they quote names and dates), tracebacks
keep their frames and lose their messages.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType

FIELDS = (
    *("job", "stage", "state", "code", "objects", "seconds", "peer", "port", "status", "pid"),
    *("executor", "destination", "reason", "program"),
)
"""The only extra fields that are printed. None of them is free text."""

OURS = "lnc"
"""Name of our logger; what comes from any other is withheld."""
WITHHELD = "withheld"
"""Event of a line whose text was not printed."""


class _Formatter(logging.Formatter):
    """Prints events of ours, and of others only who, how bad, and where."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
        }
        if record.name.split(".")[0] == OURS:
            line["event"] = record.msg
            line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        else:
            line["event"] = WITHHELD
            line["source"] = f"{record.name}:{record.lineno}"
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["frames"] = frames_of(record.exc_info[2])
        return json.dumps(line, default=lambda _: WITHHELD)


def frames_of(tb: TracebackType | None) -> list[str]:
    """Where an error came from: file names and lines, no values and no messages."""
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(tb)]


def start_logging(level: int = logging.INFO) -> None:
    """Send every log of this process through our formatter, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logging.raiseExceptions = False  # a log that fails must not print its record
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    for name in logging.root.manager.loggerDict:
        other = logging.getLogger(name)
        other.handlers[:] = []
        other.propagate = True
    engine = logging.getLogger("dbos")  # it adds a handler of its own unless it has one
    engine.handlers[:], engine.propagate = [handler], False
    logging.getLogger(OURS).setLevel(level)
    sys.excepthook = _on_crash
    threading.excepthook = lambda args: _on_crash(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _on_crash(args.exc_type, args.exc_value, args.exc_traceback)


def relay(lines: Iterable[str], program: str) -> None:
    """Print the lines of another process of ours; whatever is not one of our events is withheld."""
    for text in lines:
        try:
            ours = "event" in json.loads(text)
        except (ValueError, TypeError):
            ours = False
        if ours:
            sys.stderr.write(text if text.endswith("\n") else f"{text}\n")
            sys.stderr.flush()
        else:
            log.warning(WITHHELD, extra={"program": program})


def _on_crash(kind: type[BaseException], _value: BaseException | None, tb: TracebackType | None) -> None:
    """Log an uncaught error without its message: messages quote values."""
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        logging.getLogger(OURS).critical("crashed", exc_info=(kind, BaseException(), tb))


log = logging.getLogger(OURS)
"""Events of the service."""
