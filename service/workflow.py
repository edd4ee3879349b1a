"""One study from complete to delivered, as durable steps of DBOS.

A worker that dies is resumed after the last finished step. Repeating a step is harmless: results have deterministic
UIDs, their time is the arrival of the study, and a file that is sent twice is the same object.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TypedDict

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error
from lnc_service.deliver import deliver
from lnc_service.logs import log
from lnc_service.settings import Pacs, Settings
from lnc_service.spool import Spool, SpooledStudy, write_durably

from lnc_dicom import pipeline
from lnc_dicom.errors import Defect, LncError, StudyRejected, Unavailable
from lnc_dicom.outputs import files_for
from lnc_dicom.report import DEMONSTRATION, DEMONSTRATION_MODEL, Report
from lnc_dicom.result_json import rejection_json, result_json, side_files
from lnc_dicom.study.read import read_results, read_study, with_results
from lnc_dicom.tools import Explainer, Predictor, Segmenter, Tools
from lnc_dicom.types import Study

WORKFLOW = "study"
QUEUE = "studies"
WORKFLOW_VERSION = "1"
"""Changes when the steps change: a job is resumed only by code that has the same steps."""
CONCURRENT_JOBS = 32
"""Jobs that may wait for the PACS at once; only one of them computes."""

_computing = threading.Lock()


class State(Enum):
    """How a job ended."""

    DONE = "DONE"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


class Outcome(TypedDict):
    """What happened to a study, with the reason where there is no result."""

    state: str
    code: str
    what: str
    do: str
    files: list[str]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the workflow works with."""

    settings: Settings
    spool: Spool
    segmenter: Callable[[], Segmenter]
    predictor: Predictor | None = None
    explainer: Explainer | None = None


_parts: list[Parts] = []


def equip(parts: Parts) -> None:
    """Hand the workflow its parts, once, before the engine starts: the engine calls it by name."""
    _parts[:] = [parts]


def enqueue(study: SpooledStudy) -> str:
    """Enqueue the job of a study; the same content is never enqueued twice."""
    with SetWorkflowID(study.job):
        DBOS.enqueue_workflow(QUEUE, run_study, study.key, study.job, study.last_arrival)
    return study.job


@DBOS.workflow(name=WORKFLOW)
def run_study(key: str, job: str, arrived: float) -> Outcome:
    """Measure a study and deliver the results. The one place where errors of a job are caught."""
    try:
        outcome = DBOS.run_step({"name": "compute"}, compute, key, job, arrived)
        if outcome["state"] == State.DONE.value:
            _deliver_to_all(job, outcome["files"])
    except LncError as error:
        outcome = _outcome(State.FAILED, error)
    except Exception as error:  # noqa: BLE001 - the one broad catch of the worker; the frames are logged
        log.error("failed", extra={"job": job}, exc_info=error)
        outcome = _outcome(State.FAILED, Defect(f"{type(error).__name__}, see the log"))
    log.info("finished", extra={"job": job, "state": outcome["state"], "code": outcome["code"]})
    return outcome


def compute(key: str, job: str, arrived: float) -> Outcome:
    """Measure one study and keep the results; a rejection is an outcome, not an error."""
    parts = _parts[0]
    folder = parts.spool.results(job)
    folder.mkdir(parents=True, exist_ok=True)
    study: Study | None = None
    seconds: dict[str, float] = {}
    with _computing:
        now, stage = datetime.fromtimestamp(arrived, UTC), timed_stages(job, seconds)
        options = parts.settings.options
        tools = Tools(parts.segmenter(), now, stage, options, parts.predictor, parts.explainer)
        try:
            earlier = read_results(parts.spool.earlier_results(key, job))
            study = with_results(read_study([parts.spool.received / key]), earlier)
            report, objects = pipeline.process(study, tools)
        except StudyRejected as error:
            text = rejection_json(error, study.caveats if study else ())
            write_durably(folder / "result.json", text.encode())
            return _outcome(State.REJECTED, error)
    for item in objects:
        write_durably(folder / item.name, item.data)
    for name, data in side_files(report, objects, now, options.objects).items():
        write_durably(folder / name, data)
    _warn_of_predictions(job, report)
    write_durably(folder / "result.json", result_json(report, objects, seconds).encode())
    return Outcome(state=State.DONE.value, code="", what="", do="", files=[o.name for o in objects])


def _warn_of_predictions(job: str, report: Report) -> None:
    """Say what the predictions are worth."""
    if report.biomarker is not None and report.biomarker.demonstration:
        log.warning(DEMONSTRATION, extra={"job": job, "code": DEMONSTRATION_MODEL})


def _deliver_to_all(job: str, files: list[str]) -> None:
    """Serve every destination, whether or not another can be reached. Raises the first error in the end."""
    failed: list[LncError] = []
    for destination in _parts[0].settings.destinations:
        try:
            _deliver(job, files, destination)
        except LncError as error:
            failed.append(error)
    if failed:
        raise failed[0]


def _deliver(job: str, files: list[str], destination: Pacs) -> None:
    """Send a destination what it has chosen; as long as it is away, again and again. Raises the last Unavailable."""
    parts = _parts[0]
    retry = parts.settings.retry
    chosen = files_for(parts.settings.objects_of(destination), files)
    if not chosen:
        return

    def send() -> None:
        folder = parts.spool.results(job)
        try:
            deliver([folder / name for name in chosen], destination, parts.settings.listen.ae_title)
        except Unavailable as error:
            log.warning("not delivered", extra={"job": job, "code": error.code})
            raise

    try:
        DBOS.run_step(
            {
                "name": "deliver",
                "retries_allowed": True,
                "interval_seconds": retry.first_wait_s,
                "max_attempts": retry.attempts,
                "backoff_rate": retry.backoff,
                "should_retry": lambda error: isinstance(error, Unavailable),
            },
            send,
        )
    except dbos_error.DBOSMaxStepRetriesExceeded as error:
        raise error.errors[-1] from error


def _outcome(state: State, error: LncError) -> Outcome:
    return Outcome(state=state.value, code=error.code, what=error.what, do=error.do, files=[])


def timed_stages(job: str, seconds: dict[str, float]) -> Callable[[str], AbstractContextManager[None]]:
    """Give the wrapper that `Tools.stage` wants: one log line a stage, with its seconds; it fills `seconds`."""

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds[name] = time.perf_counter() - start
            log.info("stage", extra={"job": job, "stage": name, "seconds": round(seconds[name], 3)})

    return stage
