"""What the spool holds, why, and what of it may be forgotten. Nothing that is not delivered everywhere is removed."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from lnc_dicom.study.priors import FILE
from lnc_service.jobs import Job
from lnc_service.settings import Settings
from lnc_service.spool import Spool
from lnc_service.states import ENDED, JobState

_DAY_S = 86400.0
_NS = 1e9
_STAY = frozenset({"result.json", FILE})
"""Files of a result that stay: a later result of the study names it, and what comes back is known by its UIDs."""


class Part(StrEnum):
    """What lies in the spool."""

    IMAGES = "images"
    RESULTS = "results"


class Why(StrEnum):
    """Why something lies in the spool."""

    ARRIVING = "not measured yet"
    UNDELIVERED = "not delivered everywhere yet"
    FAILED = "failed; kept until it is run again"
    KEPT = "delivered or rejected; kept for the time that is set"
    FORGOTTEN = "kept for that time; removed within the hour"


@dataclass(frozen=True, slots=True)
class Held:
    """A folder of the spool. `since` is when its job ended, or when it changed last, in seconds since the epoch."""

    part: Part
    folder: Path
    why: Why
    since: float

    def files(self) -> Iterator[Path]:
        """Give what would be removed."""
        return (path for path in self.folder.iterdir() if self.part is Part.IMAGES or path.name not in _STAY)


def survey(settings: Settings, jobs: Iterable[Job], now: datetime) -> Iterator[Held]:
    """Say of every folder why it is there. The jobs must have been read before: what is newer is kept."""
    spool = Spool(settings.spool)
    by_study: dict[str, list[Job]] = defaultdict(list)
    known = {job.name: job for job in jobs}
    for name, found in known.items():
        by_study[name.split("-")[0]].append(found)
    for folder in _folders(spool.received):
        changed_ns = folder.stat().st_mtime_ns
        of_study = by_study[spool.study_name(folder.name)]
        closed = spool.closed_ns(folder.name) == changed_ns
        since = max([job.since.timestamp() for job in of_study], default=changed_ns / _NS)
        why = _why(of_study, now.timestamp() - since, settings.keep.images_days) if closed else Why.ARRIVING
        yield Held(Part.IMAGES, folder, why, since)
    for folder in _folders(spool.results("")):
        job = known.get(folder.name)
        since = job.since.timestamp() if job else folder.stat().st_mtime
        age_s = now.timestamp() - since
        why = _why([job], age_s, settings.keep.results_days) if job else Why.UNDELIVERED
        yield Held(Part.RESULTS, folder, why, since)


def _why(jobs: Iterable[Job], age_s: float, days: float) -> Why:
    states = {job.state for job in jobs}
    if states - ENDED:
        return Why.UNDELIVERED
    if JobState.FAILED in states:
        return Why.FAILED
    return Why.FORGOTTEN if age_s > days * _DAY_S else Why.KEPT


def forget(settings: Settings, jobs: Iterable[Job], now: datetime) -> int:
    """Remove what was kept for its time; give the number of folders that were emptied."""
    spool, count = Spool(settings.spool), 0
    for held in survey(settings, jobs, now):
        if held.why is not Why.FORGOTTEN:
            continue
        if held.part is Part.IMAGES:
            count += _remove_images(spool, held.folder)
        else:
            files = list(held.files())
            for path in files:
                path.unlink()
            count += bool(files)
    return count + _remove_unused(spool, now.timestamp() - settings.keep.images_days * _DAY_S)


def _remove_unused(spool: Spool, before: float) -> bool:
    """Remove objects of private SOP classes, which no job reads; say whether there were any."""
    old = [path for path in spool.unused.glob("*.dcm") if path.stat().st_mtime < before]
    for path in old:
        path.unlink()
    return bool(old)


def _remove_images(spool: Spool, folder: Path) -> bool:
    """Remove the folder of a study so that an object which arrives meanwhile is kept.

    The folder is moved away in one step; an object that arrives after that makes a new one. One that arrived between
    the look and the move has changed the folder: then everything is moved back.
    """
    away = spool.root / "forgotten" / folder.name
    away.parent.mkdir(exist_ok=True)
    folder.replace(away)
    if away.stat().st_mtime_ns != spool.closed_ns(folder.name):
        folder.mkdir(exist_ok=True)
        for path in away.iterdir():
            path.replace(folder / path.name)
        away.rmdir()
        return False
    shutil.rmtree(away)
    return True


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
