"""One study from complete to delivered, as durable workflows of DBOS: one computes, one for each destination delivers.

A worker that dies is resumed after the last finished step, by itself or by another. Repeating a step is harmless:
results have deterministic UIDs, their time is the arrival of the study, and a file sent twice is the same object.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NotRequired, TypedDict

import sqlalchemy as sa
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from lnc_dicom.errors import ComputingEnded, Defect, DestinationUnknown, LncError, PacsRefused, PacsUnreachable
from lnc_service.child import ChildEndedError
from lnc_service.deliver import Fate, deliver
from lnc_service.engine import (
    DELIVERIES,
    DELIVERY,
    STUDIES,
    STUDY,
    delivery_name,
    has_in_hand,
    in_hand,
    parts,
    queue_of,
)
from lnc_service.logs import log
from lnc_service.manifest import Manifest, read_manifest
from lnc_service.proof import enqueue_proof
from lnc_service.rules.apply import files_of_destinations
from lnc_service.states import DeliveryOutcome, JobState, Reference, StudyOutcome, ended

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
    references: NotRequired[dict[str, Reference]]
    unreachable: str
    unknown: bool
    at: float


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
    return {status.workflow_id for status in found} - in_hand()


def pick_up(workflows: Iterable[str]) -> None:
    """Put workflows that were dropped back into their queues."""
    for name in workflows:
        DBOS.resume_workflow(name, queue_name=queue_of(name))


@DBOS.workflow(name=STUDY, max_recovery_attempts=_RECOVERIES)
def run_study(key: str, job: str, images: int, order: int) -> StudyOutcome:  # noqa: ARG001 - `lnc jobs` reads images
    """Measure a study and enqueue its deliveries. The one place where errors of a job are caught."""
    with has_in_hand(job):
        return _run_study(key, job, order)


def _run_study(key: str, job: str, order: int) -> StudyOutcome:
    try:
        outcome = _compute_with_attempts(key, job)
        if outcome["state"] == JobState.DONE:
            demonstration = outcome.get("demonstration", False)
            chosen = DBOS.run_step(
                {"name": "destinations"}, destinations, key, job, outcome["files"], demonstration=demonstration
            )
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
    settings = parts().settings
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
        return parts().computer.compute(key, job)
    except ChildEndedError as error:
        return ended(JobState.FAILED, ComputingEnded(f"the process that computes ended: {error}"))


def destinations(key: str, job: str, files: list[str], *, demonstration: bool) -> dict[str, list[str]]:
    """Choose the files for every destination, by its name: kept as a step, so that the settings may change."""
    path = parts().spool.manifest(key, job)
    rule = read_manifest(path).applied if path.is_file() else None
    return files_of_destinations(parts().settings, rule, files, demonstration=demonstration)


def _enqueue_delivery(job: str, destination: str, files: list[str], order: int) -> None:
    """One delivery a destination at a time, in order; no destination waits for another."""
    options = SetEnqueueOptions(queue_partition_key=destination, priority=order)
    with SetWorkflowID(delivery_name(job, destination)), options:
        DBOS.enqueue_workflow(DELIVERIES, run_delivery, job, destination, files)


@DBOS.workflow(name=DELIVERY, max_recovery_attempts=None)
def run_delivery(job: str, destination: str, files: list[str]) -> DeliveryOutcome:
    """Send a destination its files until each is stored or refused, or the destination was silent for too long."""
    with has_in_hand(job):
        return _run_delivery(job, destination, files)


def _run_delivery(job: str, destination: str, files: list[str]) -> DeliveryOutcome:
    retry = parts().settings.retry
    fates = dict.fromkeys(files, Fate.WAITING.value)
    reasons: dict[str, str] = {}
    instead: dict[str, str] = {}
    references: dict[str, Reference] = {}
    error: LncError | None = None
    began, silent, failed = 0.0, 0, 0
    while True:
        waiting = [name for name, fate in fates.items() if fate == Fate.WAITING]
        sent = DBOS.run_step({"name": "send"}, send, job, destination, waiting)
        fates, reasons, began = fates | sent["fates"], reasons | sent["reasons"], began or sent["at"]
        instead |= sent.get("instead", {})
        references |= sent.get("references", {})
        silent, failed = (silent + 1, failed) if sent["unreachable"] else (0, failed + 1)
        if Fate.WAITING not in fates.values():
            break
        error = _gives_up(
            sent, silent_s=sent["at"] - began, limit_h=retry.give_up_after_h, last=failed >= retry.attempts
        )
        if error is not None:
            break
        DBOS.sleep(retry.wait_s(silent or failed))
    proved = DBOS.run_step({"name": "is proved"}, is_proved, destination)
    if references and proved:
        enqueue_proof(job, destination, references)
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
    known = parts()
    pacs = known.settings.destination(destination)
    sent = Sent(fates={}, reasons={}, unreachable="", unknown=pacs is None, at=time.time())
    if pacs is None:
        return sent
    folder = known.spool.results(job)
    try:
        answers = deliver([folder / name for name in files], pacs, known.settings.listen.ae_title)
    except PacsUnreachable as error:
        extra = {"job": job, "destination": destination, "code": error.code}
        log.warning("not delivered", extra=extra)
        return Sent(**{**sent, "unreachable": error.what})
    fates = {name: fate.value for name, fate in answers.fates.items()}
    return Sent(
        **{
            **sent,
            "fates": fates,
            "reasons": dict(answers.reasons),
            "instead": dict(answers.instead),
            "references": dict(answers.references),
        }
    )


def is_proved(destination: str) -> bool:
    """Whether the deliveries of a destination are proved: kept as a step, so that the settings may change."""
    pacs = parts().settings.destination(destination)
    return pacs is not None and pacs.proves
