"""What the spool holds, why, and what of it may be forgotten. Nothing that is not delivered everywhere is removed."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from lnc_dicom.study.priors import FILE
from lnc_service.jobs import Job
from lnc_service.manifest import shorten_manifests
from lnc_service.settings import Settings
from lnc_service.spool import Spool
from lnc_service.states import ENDED, JobState

_DAY_S = 86400.0
_NS = 1e9
_AWAY, _DONE = "forgotten", ".done"
"""Where folders are moved before they are removed, and what the name of one ends with that is to be removed."""
_ABANDONED_S = 3600.0
"""A folder that has been moved away for this long was left by a process that died."""
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
    known = {job.name: job for job in jobs}
    by_study = _by_study(spool, known.values())
    for folder in _folders(spool.received):
        changed_ns = folder.stat().st_mtime_ns
        of_study = by_study.get(spool.study_name(folder.name), [])
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


def _by_study(spool: Spool, jobs: Iterable[Job]) -> Mapping[str, list[Job]]:
    found: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        found[spool.study_of(job.name)].append(job)
    return found


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
    _finish_removals(spool)
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
    away = spool.root / _AWAY / f"{folder.name}-{os.urandom(4).hex()}"
    away.parent.mkdir(exist_ok=True)
    folder.replace(away)
    if away.stat().st_mtime_ns != spool.closed_ns(folder.name):
        _put_back(spool, away)
        return False
    shorten_manifests(spool, folder.name)
    shutil.rmtree(away.replace(away.with_suffix(_DONE)))
    return True


def _put_back(spool: Spool, away: Path) -> None:
    folder = spool.received / away.name.partition("-")[0]
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in away.iterdir():
        path.replace(folder / path.name)
    away.rmdir()


def _finish_removals(spool: Spool) -> None:
    """Remove, or put back, what a process that died had moved away."""
    for away in _folders(spool.root / _AWAY):
        if away.suffix == _DONE:
            shutil.rmtree(away, ignore_errors=True)
        elif time.time() - away.stat().st_ctime > _ABANDONED_S:
            _put_back(spool, away)


def forget_jobs(settings: Settings, jobs: Iterable[Job], now: datetime) -> list[Job]:
    """Remove what the spool has of jobs that were remembered for their time; give them: the database may forget them.

    A study is forgotten as a whole, when all of its jobs ended well that long ago and its images are gone.
    """
    spool, forgotten = Spool(settings.spool), list[Job]()
    before = now.timestamp() - settings.keep.jobs_days * _DAY_S
    arrived = {spool.study_name(folder.name) for folder in _folders(spool.received)}
    keys = {spool.study_name(folder.name): folder.name for folder in _folders(spool.root / "manifests")}
    for study, of_study in _by_study(spool, jobs).items():
        if study not in arrived and all(_is_over(job, before) for job in of_study):
            _remove_records(spool, keys.get(study), of_study)
            forgotten += of_study
    _remove_marks(spool, before)
    return forgotten


def _is_over(job: Job, before: float) -> bool:
    return job.state in {JobState.DONE, JobState.REJECTED} and job.since.timestamp() < before


def _remove_records(spool: Spool, key: str | None, jobs: Iterable[Job]) -> None:
    """Remove results and manifests. Manifests go before the rows: a job that has one and no row is enqueued again."""
    for job in jobs:
        shutil.rmtree(spool.results(job.name), ignore_errors=True)
        if key is not None:
            spool.manifest(key, job.name).unlink(missing_ok=True)
    if key is not None and not spool.manifests_of(key):
        shutil.rmtree(spool.root / "manifests" / key, ignore_errors=True)


def _remove_marks(spool: Spool, before: float) -> None:
    """Remove the marks of closed studies that have neither images nor a job any more."""
    for mark in (spool.root / "closed").iterdir():
        gone = not (spool.received / mark.name).exists() and not (spool.root / "manifests" / mark.name).exists()
        if gone and mark.stat().st_mtime < before:
            mark.unlink()


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
