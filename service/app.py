"""Wires the parts: receiver process, workflow engine, and the watch over the spool."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dbos import DBOS, DBOSConfig
from lnc_service.logs import log
from lnc_service.settings import Settings
from lnc_service.spool import Spool, SpooledStudy
from lnc_service.workflow import CONCURRENT_JOBS, QUEUE, WORKFLOW_VERSION, Parts, enqueue, equip

from lnc_dicom.biomarker.load import explainer_of, load_predictor
from lnc_dicom.segment.load import load_segmenter
from lnc_dicom.tools import Segmenter

POLL_S = 0.5
"""How often the spool is looked at."""
_PATIENCE_S = 10.0
"""How long running steps may take to end at a stop; what does not end is resumed at the next start."""


def serve(settings: Settings, config: Path | None, stop: threading.Event) -> None:
    """Run receiver and worker until told to stop."""
    spool = Spool(settings.spool)
    spool.prepare()
    receiver = _Receiver(config)
    work(settings, spool, stop, each=receiver.keep_alive)
    receiver.stop()


def work(settings: Settings, spool: Spool, stop: threading.Event, each: Callable[[], None] = lambda: None) -> None:
    """Run a worker: enqueue studies that are complete and work the queue; `each` is called at every look."""
    segmenter: Callable[[], Segmenter] = functools.cache(load_segmenter)
    segmenter()  # weights are read and checked before the first study, not during it
    predictor = load_predictor(settings.biomarker)
    equip(Parts(settings, spool, segmenter, predictor, explainer_of(predictor)))
    launch_engine(settings)
    log.info("working", extra={"pid": os.getpid()})
    enqueued: set[str] = set()
    while not stop.wait(POLL_S):
        each()
        for study in complete_studies(spool, settings.listen.study_quiet_s, time.time()):
            if study.job not in enqueued:
                enqueued.add(enqueue(study))
                log.info("complete", extra={"job": study.job, "objects": study.objects})
    DBOS.destroy(workflow_completion_timeout_sec=int(_PATIENCE_S))


def launch_engine(settings: Settings) -> None:
    """Start the workflow engine; it resumes what an earlier process left unfinished."""
    config: DBOSConfig = {
        "name": "lnc-dicom",
        "system_database_url": settings.workflow_database_url,
        "application_version": WORKFLOW_VERSION,
        "executor_id": "local",
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=CONCURRENT_JOBS, polling_interval_sec=POLL_S)


def complete_studies(spool: Spool, quiet_s: float, now: float) -> list[SpooledStudy]:
    """Studies of which nothing has arrived for the quiet time."""
    return [study for study in spool.studies() if now - study.last_arrival >= quiet_s]


class _Receiver:
    """The receiver process; started again if it dies."""

    def __init__(self, config: Path | None) -> None:
        self._command = [sys.executable, "-m", "lnc_service.receive"]
        if config is not None:
            self._command += ["--config", str(config)]
        self._process = subprocess.Popen(self._command)  # noqa: S603 - our own module

    def keep_alive(self) -> None:
        """Start it again if it has ended."""
        if self._process.poll() is not None:
            log.error("receiver ended", extra={"status": str(self._process.returncode)})
            time.sleep(1)  # a port that is taken would otherwise spin
            self._process = subprocess.Popen(self._command)  # noqa: S603

    def stop(self) -> None:
        """End it and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
