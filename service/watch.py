"""The spool → the studies that are complete. A look costs the same however many studies lie there.

Time is measured by two clocks. The wall clock, by the times of the files, says how quiet a study was before we started;
from then on the monotonic clock counts, so that a wall clock that is set back or forth neither holds a study up nor
closes it early.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass

from lnc_service.manifest import Closed
from lnc_service.spool import Spool

_SWEEP = 200
"""Closed studies that are looked at each time, in turn: a late image of an old study is noticed this much later."""
_TICK_S = 2.0
"""Two changes of a folder this close together may have one time of change; it is then listed once more."""
_SECOND_NS = 1e9


@dataclass(slots=True)
class _Open:
    """A study that has something which no manifest names; times of the monotonic clock."""

    changed_ns: int
    changed_at: float
    opened_at: float


class Watch:
    """Knows which studies have changed since they were closed."""

    def __init__(self, spool: Spool, quiet_s: float, longest_s: float) -> None:
        self._spool, self._quiet_s, self._longest_s = spool, quiet_s, longest_s
        self._open: dict[str, _Open] = {}
        self._closed: dict[str, int] = {}
        self._listed_ns = 0
        self._turn: Iterator[str] = iter(())

    def look(self, wall: float, monotonic: float) -> list[tuple[str, int, Closed]]:
        """Give the studies that are complete, in order of arrival: key, time of change, and why.

        Each is given again until it is `close`d.
        """
        for key in self._to_look_at(wall):
            self._notice(key, wall, monotonic)
        due = [
            (study.changed_ns, key, why) for key, study in self._open.items() if (why := self._due(study, monotonic))
        ]
        return [(key, changed_ns, why) for changed_ns, key, why in sorted(due)]

    def close(self, key: str, changed_ns: int) -> None:
        """Take a study as closed until it changes again."""
        self._open.pop(key, None)
        self._closed[key] = changed_ns

    def quiet_s(self, key: str, monotonic: float) -> float:
        """How long nothing has arrived of an open study; 0 for any other."""
        study = self._open.get(key)
        return monotonic - study.changed_at if study is not None else 0.0

    def postpone(self, key: str, monotonic: float) -> None:
        """Give a study that could not be closed again after another quiet time."""
        study = self._open.get(key)
        if study is not None:
            study.changed_at = study.opened_at = monotonic

    def _to_look_at(self, wall: float) -> list[str]:
        """Name the open studies, new ones, and the next few of the closed ones."""
        changed_ns = self._spool.received.stat().st_mtime_ns
        new: list[str] = []
        if changed_ns != self._listed_ns or abs(wall - changed_ns / _SECOND_NS) < _TICK_S:
            with os.scandir(self._spool.received) as entries:
                new = [e.name for e in entries if e.name not in self._closed and e.is_dir()]
            self._listed_ns = changed_ns
        turn = list(itertools.islice(self._turn, _SWEEP))
        if len(turn) < _SWEEP:
            self._turn = iter(list(self._closed))
        return list(dict.fromkeys([*self._open, *new, *turn]))

    def _notice(self, key: str, wall: float, monotonic: float) -> None:
        """See whether a study has changed."""
        folder = self._spool.received / key
        try:
            changed_ns = folder.stat().st_mtime_ns
            known = self._open.get(key)
            if known is not None:
                if changed_ns != known.changed_ns:
                    known.changed_ns, known.changed_at = changed_ns, monotonic
            elif key in self._closed:
                if changed_ns != self._closed[key]:
                    self._open[key] = _Open(changed_ns, monotonic, monotonic)
            else:
                self._meet(key, changed_ns, wall, monotonic)
        except FileNotFoundError:  # removed
            self._open.pop(key, None)
            self._closed.pop(key, None)

    def _meet(self, key: str, changed_ns: int, wall: float, monotonic: float) -> None:
        """See a study for the first time: it may be closed already, or have fallen quiet while nobody looked."""
        closed_ns = self._spool.closed_ns(key)
        if closed_ns == changed_ns:
            self._closed[key] = changed_ns
            return
        with os.scandir(self._spool.received / key) as entries:
            arrivals = [e.stat().st_mtime for e in entries if e.name.endswith(".dcm")]
        new = [t for t in arrivals if t > closed_ns / _SECOND_NS] or arrivals or [wall]
        quiet_s = min(max(wall - max(new), 0.0), self._quiet_s)
        waited_s = min(max(wall - min(new), 0.0), self._longest_s)
        self._open[key] = _Open(changed_ns, monotonic - quiet_s, monotonic - waited_s)

    def _due(self, study: _Open, monotonic: float) -> Closed | None:
        if monotonic - study.changed_at >= self._quiet_s:
            return Closed.QUIET
        return Closed.LONGEST_WAIT if monotonic - study.opened_at >= self._longest_s else None
