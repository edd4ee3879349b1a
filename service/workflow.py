"""One study from complete to delivered, as durable workflows of DBOS: one computes, one for each destination delivers.

A worker that dies is resumed after the last finished step, by itself or by another. Repeating a step is harmless:
results have deterministic UIDs, their time is the arrival of the study, and a file sent twice is the same object.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID

from lnc_dicom.errors import ComputingEnded, Defect, DestinationUnknown, LncError, PacsRefused, PacsUnreachable
from lnc_service.child import ChildEndedError, Computer, StoppingError
from lnc_service.deliver import Fate, deliver
from lnc_service.logs import log
from lnc_service.manifest import Manifest, read_manifest
from lnc_service.rules.apply import files_of_destinations
from lnc_service.settings import Settings
from lnc_service.spool import Spool
from lnc_service.states import DeliveryOutcome, JobState, StudyOutcome, ended

STUDY, DELIVERY = "study", "delivery"
"""Names of the workflows."""
STUDIES, DELIVERIES = "studies", "deliveries"
"""Names of their queues."""
WORKFLOW_VERSION = "2"
"""Changes when the steps change: a job is resumed only by code that has the same steps."""
_SEPARATOR = ">"
"""Between job and destination in the name of a delivery; names of jobs do not hold it."""
_POLL_S = 0.5
_RECOVERIES = 50
"""How often a study may lose the worker that runs it; computing itself has its own, smaller count."""
_HOUR_S = 3600.0
_START_OF_2025 = 1735689600.0
_ROUTINE = 2**30
"""Added to the place of what is not STAT; the engine's priorities go from 1 to 2³¹ - 1, the smallest first."""
_ROWS_AT_ONCE = 500
_ACTIVE = frozenset({"PENDING", "ENQUEUED", "DELAYED"})


class Sent(TypedDict):
    """What one attempt of a delivery brought; `unreachable` and `unknown` say why nothing was sent."""

    fates: dict[str, str]
    reasons: dict[str, str]
    instead: NotRequired[dict[str, str]]
    unreachable: str
    unknown: bool
    at: float


@dataclass(frozen=True, slots=True)
class Parts:
    """What the workflows work with."""

    settings: Settings
    spool: Spool
    computer: Computer


_parts: list[Parts] = []


def equip(parts: Parts) -> None:
    """Hand the workflows their parts, once, before the engine starts: the engine calls them by name."""
    _parts[:] = [parts]


def launch_engine(settings: Settings, executor: str) -> None:
    """Start the workflow engine under the name of this process."""
    config: DBOSConfig = {
        "name": "lnc-dicom",
        "system_database_url": settings.workflow_database_url,
        "application_version": WORKFLOW_VERSION,
        "executor_id": executor,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(STUDIES, worker_concurrency=1, polling_interval_sec=_POLL_S)
    DBOS.register_queue(DELIVERIES, partition_concurrency=1, polling_interval_sec=_POLL_S)


def enqueue(manifest: Manifest) -> None:
    """Enqueue the job of a manifest; the same content is never enqueued twice."""
    used = frozenset(manifest.used)
    images = sum(o.digest in used and not o.ours for o in manifest.objects)
    order = order_of(manifest.made, stat=manifest.stat)
    with SetWorkflowID(manifest.job), SetEnqueueOptions(priority=order):
        DBOS.enqueue_workflow(STUDIES, run_study, manifest.key, manifest.job, images, order)


def order_of(made: float, *, stat: bool = False) -> int:
    """Place in a queue: STAT before routine, then by arrival, in quarters of a second since 2025.

    The engine's own order has whole seconds on SQLite. Places begin anew after 8.5 years: what waits on that day is
    overtaken.
    """
    place = max(int(4 * (made - _START_OF_2025)), 1) % _ROUTINE
    return max(place, 1) if stat else place + _ROUTINE


def known_jobs() -> set[str]:
    """Every job that was ever enqueued and not forgotten since."""
    found = DBOS.list_workflows(name=STUDY, load_input=False, load_output=False)
    return {status.workflow_id for status in found}


def forget_rows(jobs: Iterable[str], deliveries: Iterable[str]) -> None:
    """Remove jobs and deliveries that have ended from the database, with everything that it kept of them."""
    names = [*jobs, *deliveries]
    for start in range(0, len(names), _ROWS_AT_ONCE):
        DBOS.delete_workflows(names[start : start + _ROWS_AT_ONCE])


def is_active(job: str) -> bool:
    """Whether the computing of a job stands in the queue or runs."""
    status = DBOS.get_workflow_status(job)
    return status is not None and status.status in _ACTIVE


def running_workers() -> set[str]:
    """Names of the workers that have a workflow in hand."""
    found = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    return {status.executor_id for status in found if status.executor_id}


def take_over(workers: list[str]) -> None:
    """Put what dead workers had in hand back into its queue; only one of those that ask for it does."""
    DBOS._recover_pending_workflows(workers)  # noqa: SLF001 - what the engine's admin server calls for dead executors


def dropped(worker: str) -> set[str]:
    """Give workflows that the database counts as running here and that do not: their outcome could not be written."""
    found = DBOS.list_workflows(status="PENDING", executor_id=worker, load_input=False, load_output=False)
    return {status.workflow_id for status in found} - _in_hand


def pick_up(workflows: Iterable[str]) -> None:
    """Put workflows that were dropped back into their queues."""
    for name in workflows:
        DBOS.resume_workflow(name, queue_name=DELIVERIES if _SEPARATOR in name else STUDIES)


_in_hand: set[str] = set()


@contextmanager
def _has_in_hand(job: str) -> Iterator[None]:
    """Keep the name of the running workflow. Where the database fails there is no outcome: it is picked up later."""
    name = str(DBOS.workflow_id)
    _in_hand.add(name)
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        log.warning("database", extra={"job": job}, exc_info=error)
        raise StoppingError from None
    finally:
        _in_hand.discard(name)


@DBOS.workflow(name=STUDY, max_recovery_attempts=_RECOVERIES)
def run_study(key: str, job: str, images: int, order: int) -> StudyOutcome:  # noqa: ARG001 - `lnc jobs` reads images
    """Measure a study and enqueue its deliveries. The one place where errors of a job are caught."""
    with _has_in_hand(job):
        return _run_study(key, job, order)


def _run_study(key: str, job: str, order: int) -> StudyOutcome:
    try:
        outcome = _compute_with_attempts(key, job)
        if outcome["state"] == JobState.DONE:
            chosen = DBOS.run_step({"name": "destinations"}, destinations, key, job, outcome["files"])
            for name, files in chosen.items():
                _enqueue_delivery(job, name, files, order)
    except sa.exc.SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - the one broad catch of the worker; the frames are logged
        log.error("failed", extra={"job": job}, exc_info=error)
        outcome = ended(JobState.FAILED, Defect(f"{type(error).__name__}, see the log"))
    log.info("finished", extra={"job": job, "state": outcome["state"], "code": outcome["code"]})
    return outcome


def _compute_with_attempts(key: str, job: str) -> StudyOutcome:
    """Compute until there is an outcome; as long as the spool cannot be written, again and again."""
    settings = _parts[0].settings
    crashes, attempt = 0, 0
    while True:
        attempt += 1
        outcome = DBOS.run_step({"name": "compute"}, compute, key, job)
        if outcome["code"] == ComputingEnded.code:
            crashes += 1
            if crashes >= settings.compute.attempts:
                return outcome
        elif outcome["state"] != JobState.WAITING:
            return outcome
        DBOS.sleep(settings.retry.wait_s(attempt))


def compute(key: str, job: str) -> StudyOutcome:
    """Have the child compute; one that ended is an outcome, because the attempt counts."""
    log.info("computing", extra={"job": job})
    try:
        return _parts[0].computer.compute(key, job)
    except ChildEndedError as error:
        return ended(JobState.FAILED, ComputingEnded(f"the process that computes ended: {error}"))


def destinations(key: str, job: str, files: list[str]) -> dict[str, list[str]]:
    """Choose the files for every destination, by its name: kept as a step, so that the settings may change."""
    path = _parts[0].spool.manifest(key, job)
    rule = read_manifest(path).applied if path.is_file() else None
    return files_of_destinations(_parts[0].settings, rule, files)


def delivery_name(job: str, destination: str) -> str:
    """Name of the workflow that delivers a job to a destination."""
    return f"{job}{_SEPARATOR}{destination}"


def job_and_destination(delivery: str) -> tuple[str, str]:
    """Take the name of a delivery apart."""
    job, _, destination = delivery.partition(_SEPARATOR)
    return job, destination


def _enqueue_delivery(job: str, destination: str, files: list[str], order: int) -> None:
    """One delivery a destination at a time, in order; no destination waits for another."""
    options = SetEnqueueOptions(queue_partition_key=destination, priority=order)
    with SetWorkflowID(delivery_name(job, destination)), options:
        DBOS.enqueue_workflow(DELIVERIES, run_delivery, job, destination, files)


@DBOS.workflow(name=DELIVERY, max_recovery_attempts=None)
def run_delivery(job: str, destination: str, files: list[str]) -> DeliveryOutcome:
    """Send a destination its files until each is stored or refused, or the destination was silent for too long."""
    with _has_in_hand(job):
        return _run_delivery(job, destination, files)


def _run_delivery(job: str, destination: str, files: list[str]) -> DeliveryOutcome:
    retry = _parts[0].settings.retry
    fates = dict.fromkeys(files, Fate.WAITING.value)
    reasons: dict[str, str] = {}
    instead: dict[str, str] = {}
    error: LncError | None = None
    began, silent, failed = 0.0, 0, 0
    while True:
        waiting = [name for name, fate in fates.items() if fate == Fate.WAITING]
        sent = DBOS.run_step({"name": "send"}, send, job, destination, waiting)
        fates, reasons, began = fates | sent["fates"], reasons | sent["reasons"], began or sent["at"]
        instead |= sent.get("instead", {})
        silent, failed = (silent + 1, failed) if sent["unreachable"] else (0, failed + 1)
        if Fate.WAITING not in fates.values():
            break
        error = _gives_up(
            sent, silent_s=sent["at"] - began, limit_h=retry.give_up_after_h, last=failed >= retry.attempts
        )
        if error is not None:
            break
        DBOS.sleep(retry.wait_s(silent or failed))
    return _delivered(job, destination, fates, reasons, instead, error)


def _gives_up(sent: Sent, silent_s: float, limit_h: float, *, last: bool) -> LncError | None:
    """Say why a delivery ends although objects wait; None if it goes on."""
    if sent["unknown"]:
        return DestinationUnknown("the settings have no destination of this name")
    if sent["unreachable"]:
        return PacsUnreachable(sent["unreachable"]) if silent_s > limit_h * _HOUR_S else None
    return (
        PacsRefused("objects could not be stored, " + ", ".join(sorted(set(sent["reasons"].values()))))
        if last
        else None
    )


def _delivered(
    job: str,
    destination: str,
    fates: dict[str, str],
    reasons: dict[str, str],
    instead: dict[str, str],
    error: LncError | None,
) -> DeliveryOutcome:
    """Sum up a delivery that has ended."""
    by_fate = {fate: [name for name, found in fates.items() if found == fate] for fate in Fate}
    refused = {name: reasons.get(name, "") for name in by_fate[Fate.REFUSED]}
    if refused and error is None:
        text = ", ".join(f"{name} ({reason})" for name, reason in refused.items())
        error = PacsRefused(f"{destination} has {len(by_fate[Fate.STORED])} of {len(fates)} objects; refused: {text}")
    state = JobState.FAILED if error else JobState.DONE
    extra = {"job": job, "destination": destination, "state": state.value, "code": error.code if error else ""}
    log.info("delivered", extra=extra)
    return DeliveryOutcome(
        destination=destination,
        state=state.value,
        code=error.code if error else "",
        what=error.what if error else "",
        do=error.do if error else "",
        stored=by_fate[Fate.STORED],
        refused=refused,
        waiting=by_fate[Fate.WAITING],
        instead=instead,
    )


def send(job: str, destination: str, files: list[str]) -> Sent:
    """Try once to deliver files."""
    parts = _parts[0]
    pacs = parts.settings.destination(destination)
    sent = Sent(fates={}, reasons={}, unreachable="", unknown=pacs is None, at=time.time())
    if pacs is None:
        return sent
    folder = parts.spool.results(job)
    try:
        answers = deliver([folder / name for name in files], pacs, parts.settings.listen.ae_title)
    except PacsUnreachable as error:
        extra = {"job": job, "destination": destination, "code": error.code}
        log.warning("not delivered", extra=extra)
        return Sent(**{**sent, "unreachable": error.what})
    fates = {name: fate.value for name, fate in answers.fates.items()}
    return Sent(**{**sent, "fates": fates, "reasons": dict(answers.reasons), "instead": dict(answers.instead)})
