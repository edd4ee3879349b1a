"""What the service promises, at length: SIGKILL at random moments, and another machine that takes over.

    python -m benchmarks.service kills 200 [kills.jsonl]
    python -m benchmarks.service takeover 20 [takeover.jsonl]

Computing is a stub (tests/acceptance/service_stub.py), all else is real: receiver, spool, workflow engine, a PACS,
DCMTK's storescu as the scanner, and for takeover PostgreSQL. Each prints a line of JSON a round, one a batch and one in
the end; with a log, a run that was cut off goes on after its last batch. docs/explanation/reliability.md keeps the
figures.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from benchmarks.rounds import Row, in_batches
from lnc_service.states import ENDED, JobState
from tests.acceptance.conftest import Service, wait_for
from tests.acceptance.service_peers import Pacs, postgresql, running, small_study
from tests.acceptance.service_stub import FILES, PROGRAM

_RECOVERY_S = 60.0
_SEED = 20261125


def _send(service: Service, paths: list[Path]) -> int:
    """Send as a modality does: what was not acknowledged is sent again. Gives the number of attempts."""
    end = time.monotonic() + 120
    attempts = 0
    while time.monotonic() < end:
        attempts += 1
        with suppress(subprocess.CalledProcessError):
            service.send(str(shutil.which("storescu")), *paths)
            return attempts
        time.sleep(0.5)
    raise TimeoutError("the study was not acknowledged")


def _result_sets(pacs: Pacs) -> dict[str, Counter[str]]:
    """How often each object of each study was stored."""
    sets: dict[str, Counter[str]] = {}
    for study, _, instance, _ in pacs.stored:
        sets.setdefault(study, Counter())[instance] += 1
    return sets


def kills(first: int, rounds: int) -> Row:
    """Kill the receiver, the worker or everything at a random moment of each study."""
    chance = random.Random(_SEED + first)  # noqa: S311 - which process dies when, the same every time
    folder = Path(tempfile.mkdtemp())
    pacs = Pacs().start()
    killed: Counter[str] = Counter()
    with running(folder, pacs) as service:
        service.environment["FAKE_SECONDS"] = "0.5"
        service.start()
        sent: dict[str, int] = {}
        for n in range(rounds):
            uid, paths = small_study(folder / f"{n}")
            sent[uid] = len(paths)
            _send(service, paths)
            time.sleep(chance.uniform(0.0, 4.0))
            victim = chance.choice(["receiver", "worker", "both"])
            killed[victim] += 1
            if victim == "both":
                service.kill()
                service.start()
            else:
                event = "listening" if victim == "receiver" else "working"
                with suppress(ProcessLookupError, IndexError):
                    os.kill(service.lines(event)[-1]["pid"], signal.SIGKILL)
            _say({"round": first + n, "victim": victim})
        with suppress(AssertionError):
            wait_for(lambda: service.finished(rounds), 300)
        time.sleep(5)
        jobs = service.jobs()
        received = len(list((service.spool / "received").glob("*/*.dcm")))
    sets = _result_sets(pacs)
    shutil.rmtree(folder)
    return {
        "rounds": rounds,
        "killed": dict(killed),
        "objects": sum(sent.values()),
        "objects_lost": sum(sent.values()) - received,
        "studies_without_results": sum(uid not in sets for uid in sent),
        "exactly_one_set": sum(len(sets.get(uid, ())) == len(FILES) for uid in sent),
        "objects_sent_twice": sum(count - 1 for found in sets.values() for count in found.values()),
        "same_uid_other_bytes": len({row[3] for row in pacs.stored}) - len({row[2] for row in pacs.stored}),
        "stuck": sum(job.state not in ENDED for job in jobs),
        "failed": sum(job.state is not JobState.DONE for job in jobs),
    }


def takeover(first: int, rounds: int) -> Row:
    """Kill the machine that computes; another on the same PostgreSQL has to finish its study."""
    waits: list[float] = []
    doubled = 0
    with postgresql() as database:
        for n in range(rounds):
            folder = Path(tempfile.mkdtemp())
            pacs = Pacs().start()
            with running(folder, pacs, database=database) as service:
                service.environment["FAKE_SECONDS"] = "300"
                service.start()
                second = Service(folder, pacs.port, PROGRAM, title="PACS", database=database)
                second.config, second.log = service.config, folder / "second.log"
                second.environment["FAKE_SECONDS"] = "0.5"
                wait_for(lambda s=service: s.lines("working"), 60)
                _, paths = small_study(folder / "study")
                service.send(str(shutil.which("storescu")), *paths)
                wait_for(lambda s=service: s.lines("computing"), 60)
                second.start("worker")
                begun = time.monotonic()
                service.kill()
                wait_for(lambda p=pacs: len(p.stored) >= len(FILES), 2 * _RECOVERY_S)
                waits.append(time.monotonic() - begun)
                time.sleep(3)
                doubled += len(pacs.stored) - len(FILES)
                second.stop()
            _say({"round": first + n, "finished_after_s": round(waits[-1], 1), "doubled": doubled})
            shutil.rmtree(folder)
    return {"rounds": rounds, "longest_s": round(max(waits), 1), "sum_s": round(sum(waits), 1), "doubled": doubled}


def _say(row: dict[str, object]) -> None:
    print(json.dumps(row), flush=True)


def main() -> None:
    """Run the proof that the command line names."""
    run, batch = {"kills": (kills, 20), "takeover": (takeover, 5)}[sys.argv[1]]
    log = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    _say({"test": sys.argv[1], **in_batches(int(sys.argv[2]), batch, log, run)})


if __name__ == "__main__":
    main()
