"""A year of 50 studies a day with the default rules: how large the spool becomes, and what a look at it costs.

    python benchmarks/year.py [--study-mb 150] [--days 365]

Time is that of a fake clock. The studies are stand-ins: folders with sparse files of recorded sizes, which are added
up; the rules are the real ones (lnc_service.retention), once a day. One study in 20 is rejected, one in 500 fails
and nobody runs it again, and the PACS is away for three days in each season. Rows of the workflow database are counted
with what a real one takes a job.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lnc_service.jobs import Job  # noqa: E402
from lnc_service.manifest import Closed, Manifest  # noqa: E402
from lnc_service.retention import forget, forget_jobs  # noqa: E402
from lnc_service.settings import Settings  # noqa: E402
from lnc_service.spool import Spool  # noqa: E402
from lnc_service.states import JobState  # noqa: E402

STUDIES_A_DAY = 50
OUTAGE_DAYS, SEASON_DAYS = 3, 91
_FULLEST_DAY = OUTAGE_DAYS + 5
"""Of a season of thirteen weeks: what waited for the PACS is about to be forgotten (`keep.images_days` after it)."""
RESULTS_KB = {  # of a real head: `lnc process --objects seg,sr,summary,saliency`
    "segmentation.dcm": 370,
    "measurements.dcm": 138,
    "summary.dcm": 3148,
    "summary-2.dcm": 3148,
    "saliency.dcm": 3148,
    "result.json": 35,
}
MANIFEST_KB = 730
"""Of 1,000 images."""
START = datetime(2027, 1, 1, tzinfo=UTC)


def arrive(spool: Spool, number: int, when: datetime, study_mb: float) -> Job:
    """Put a study, its results and its manifest into the spool."""
    key = hashlib.sha256(str(number).encode()).hexdigest()[:24]
    name = spool.job_name(key, "0" * 12)
    state = JobState.FAILED if number % 500 == 7 else JobState.REJECTED if number % 20 == 3 else JobState.DONE
    _sparse(spool.received / key / "images.dcm", int(study_mb * 1e6))
    manifest = Manifest(key, name, "", Closed.QUIET, when.timestamp(), (), ("0",), 0, "", ())
    spool.manifest(key, name).parent.mkdir()
    spool.manifest(key, name).write_text(json.dumps(asdict(manifest)) + " " * (MANIFEST_KB * 1000))
    for file, size in RESULTS_KB.items():
        if state is not JobState.REJECTED or file == "result.json":
            _sparse(spool.results(name) / file, size * 1000)
    folder = spool.received / key
    os.utime(folder, (when.timestamp(),) * 2)
    spool.mark_closed(key, folder.stat().st_mtime_ns)
    return Job(name, state, when, 200)


def _sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def size_gb(spool: Spool) -> float:
    """Add up what the files of the spool hold, as if they were not sparse."""
    return sum(path.stat().st_size for path in spool.root.rglob("*") if path.is_file()) / 1e9


def simulate(days: int, study_mb: float, row_kb: float) -> dict[str, object]:
    """Let the days pass; a delivery during an outage ends after it."""
    sizes, looks, kept, undelivered = [], [], dict[str, Job](), 0
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(spool=Path(folder), pacs={"host": "x", "ae_title": "PACS"})
        spool = Spool(settings.spool)
        spool.prepare()
        waiting: list[Job] = []
        for day in range(days):
            now = START + timedelta(days=day)
            came = [arrive(spool, day * STUDIES_A_DAY + n, now, study_mb) for n in range(STUDIES_A_DAY)]
            waiting += [replace(job, state=JobState.DELIVERING) for job in came if job.state is JobState.DONE]
            kept |= {job.name: job for job in [*came, *waiting]}
            if day % SEASON_DAYS >= OUTAGE_DAYS:  # the PACS is there
                kept |= {job.name: replace(job, state=JobState.DONE, since=now) for job in waiting}
                waiting = []
            begun = time.perf_counter()
            forget(settings, kept.values(), now)
            for job in forget_jobs(settings, kept.values(), now):
                del kept[job.name]
            looks.append(time.perf_counter() - begun)
            undelivered += sum(not spool.results(j.name).joinpath("segmentation.dcm").is_file() for j in waiting)
            if day % 7 == _FULLEST_DAY % 7:
                sizes.append(size_gb(spool) + len(kept) * row_kb / 1e6)
                print(json.dumps({"day": day, "gb": round(sizes[-1], 1), "jobs": len(kept)}), flush=True)
    return {
        "days": days,
        "studies": days * STUDIES_A_DAY,
        "study_mb": study_mb,
        "largest_gb": round(max(sizes), 1),
        "last_gb": round(sizes[-1], 1),
        "longest_look_s": round(max(looks), 1),
        "jobs_kept": len(kept),
        "failed_kept": sum(job.state is JobState.FAILED for job in kept.values()),
        "undelivered_and_removed": undelivered,
    }


def row_kb(jobs: int = 60) -> float:
    """Measure what a real workflow database takes for a job with one delivery."""
    from dbos import DBOS  # noqa: PLC0415

    from lnc_service import workflow  # noqa: PLC0415
    from lnc_service.deliver import Answers, Fate  # noqa: PLC0415

    class Instant:
        def compute(self, key: str, job: str) -> dict[str, object]:  # noqa: ARG002
            files = [name for name in RESULTS_KB if name.endswith(".dcm")]
            return {"state": "DONE", "code": "", "what": "", "do": "", "files": files}

    workflow.deliver = lambda files, *_: Answers({f.name: Fate.STORED for f in files}, {})
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(spool=Path(folder), pacs={"host": "x", "ae_title": "PACS"})
        workflow.equip(workflow.Parts(settings, Spool(settings.spool), Instant()))
        workflow.launch_engine(settings, "year")
        before = _database_bytes(Path(folder))
        names = [f"{n:012d}-{n:012d}" for n in range(jobs)]
        for n, name in enumerate(names):
            workflow.enqueue(Manifest("a" * 24, name, "", Closed.QUIET, float(n), (), (), 0, "", ()))
        for name in names:
            DBOS.retrieve_workflow(name).get_result()
            DBOS.retrieve_workflow(workflow.delivery_name(name, "PACS")).get_result()
        size = _database_bytes(Path(folder)) - before
        DBOS.destroy()
    return size / jobs / 1000


def _database_bytes(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "workflows.sqlite")) as database:
        (pages,), (size,) = (database.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return int(pages * size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study-mb", type=float, default=150.0)
    parser.add_argument("--days", type=int, default=365)
    arguments = parser.parse_args()
    a_row = row_kb()
    print(json.dumps({"database_kb_each_job": round(a_row, 1)}), flush=True)
    print(json.dumps(simulate(arguments.days, arguments.study_mb, a_row)))


if __name__ == "__main__":
    main()
