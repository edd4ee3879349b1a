"""What happened to every study, read from the workflow database and the spool."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from dbos import DBOSClient, WorkflowStatus

from lnc_dicom.errors import ComputingEnded, NoRule, NotWanted, UnusableInput
from lnc_service.engine import (
    DELIVERIES,
    DELIVERY,
    PROOF,
    PROOFS,
    STUDIES,
    STUDY,
    WORKFLOW_VERSION,
    delivery_name,
    job_and_destination,
    proof_name,
)
from lnc_service.manifest import decide_anew, read_folder, read_manifest, search_digest
from lnc_service.rules.book import RuleBook
from lnc_service.rules.verdict import verdict_on
from lnc_service.settings import Settings
from lnc_service.spool import Asked, Spool
from lnc_service.states import ENDED, DeliveryOutcome, JobState, ProofOutcome

_PROVING = ("plan", "answer", "see")
"""Steps of a proof."""
_UNFINISHED = {"ENQUEUED": JobState.WAITING, "PENDING": JobState.RUNNING, "DELAYED": JobState.WAITING}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one destination has of a job; `waiting` says how many objects it does not have yet.

    instead
        What is stored there in another SOP class than its own: file, and name of the class.
    committed
        How many it has committed itself to keep; None where it was not asked.
    seen
        How many it shows; None where nobody looked.
    proof
        Where the proof stands, if the delivery is proved: the state of a delivery that stored everything is that of
        its proof.
    """

    destination: str
    state: JobState
    stored: int
    refused: int
    waiting: int
    code: str = ""
    what: str = ""
    do: str = ""
    instead: tuple[tuple[str, str], ...] = ()
    committed: int | None = None
    seen: int | None = None
    proof: JobState | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One line of `lnc jobs list`. `since` is when the state began."""

    name: str
    state: JobState
    since: datetime
    objects: int
    code: str = ""
    what: str = ""
    do: str = ""
    deliveries: tuple[Delivery, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {**asdict(self), "since": self.since.isoformat(timespec="seconds")}


def list_jobs(settings: Settings, states: Sequence[JobState] = (), find: str = "") -> list[Job]:
    """All jobs, the newest first, and before them the studies that are still arriving.

    states
        Only jobs in these states; empty: all.
    find
        Only studies with this accession number, patient ID or study date (YYYYMMDD).
    """
    spool = Spool(settings.spool)
    if not spool.received.is_dir():
        return []
    with _client(settings) as client:
        jobs = [*_arriving(spool), *(_measured(client) if client else ())]
    if find:
        wanted = {spool.study_name(key) for key in _studies_with(spool, find)}
        jobs = [job for job in jobs if spool.study_of(job.name) in wanted]
    return [job for job in jobs if not states or job.state in states]


def find_job(settings: Settings, name: str) -> Job:
    """Find a job by its name or by the beginning of it. Raises UnusableInput."""
    found = [job for job in list_jobs(settings) if job.name.startswith(name)]
    exact = [job for job in found if job.name == name]
    if len(exact or found) != 1:
        raise UnusableInput(
            f"{len(found)} jobs have a name that begins with {name}" if found else f"there is no job {name}"
        )
    return (exact or found)[0]


def retry(settings: Settings, name: str) -> list[str]:
    """Run what failed of a job again, under its name: the computing, or the deliveries that failed.

    Returns what was enqueued. Raises UnusableInput.
    """
    job = find_job(settings, name)
    if job.state not in ENDED - {JobState.DONE}:
        raise UnusableInput(f"job {job.name} is {job.state}; only a job that failed or was rejected can be run again")
    failed = [d for d in job.deliveries if d.state is JobState.FAILED]
    with _client(settings) as client:
        if client is None:
            raise UnusableInput(f"there is no job {name}")
        for delivery in failed:
            _run_again(client, job.name, delivery)
        if not failed:
            if job.code in {NoRule.code, NotWanted.code}:
                _decide_anew(settings, job)
            client.rewind_workflow(job.name, application_version=WORKFLOW_VERSION, queue_name=STUDIES)
    return [f"{job.name} to {d.destination}" for d in failed] or [job.name]


def ask(settings: Settings, name: str, asked: Asked) -> str:
    """Leave a request for the workers about a study that is still arriving; give its name. Raises UnusableInput."""
    job, spool = find_job(settings, name), Spool(settings.spool)
    if job.state is not JobState.RECEIVING:
        raise UnusableInput(f"job {job.name} is {job.state}; only a study that is arriving can be closed or discarded")
    for folder in spool.received.iterdir():
        if spool.study_name(folder.name) == job.name:
            spool.ask(folder.name, asked)
    return job.name


def _run_again(client: DBOSClient, job: str, delivery: Delivery) -> None:
    """Run a delivery again that failed; where only its proof did, that."""
    destination = delivery.destination
    if delivery.proof is not JobState.FAILED or delivery.refused or delivery.waiting:
        client.rewind_workflow(
            delivery_name(job, destination),
            application_version=WORKFLOW_VERSION,
            queue_name=DELIVERIES,
            queue_partition_key=destination,
        )
    if delivery.proof is JobState.FAILED:
        client.rewind_workflow(proof_name(job, destination), application_version=WORKFLOW_VERSION, queue_name=PROOFS)


def _decide_anew(settings: Settings, job: Job) -> None:
    """Hold the rules in force against a study that none wanted, or whose rule wanted nothing of it."""
    spool = Spool(settings.spool)
    manifest = next((m for m in map(read_manifest, (spool.root / "manifests").glob(f"*/{job.name}.json"))), None)
    if manifest is not None:
        rules = RuleBook(settings).now().rules
        decide_anew(spool, manifest, verdict_on(spool, manifest.key, rules) if rules is not None else None)


def _arriving(spool: Spool) -> Iterator[Job]:
    """Studies that have something which no job measures yet."""
    with os.scandir(spool.received) as entries:
        folders = [e for e in entries if e.is_dir()]
    for folder in folders:
        changed_ns = folder.stat().st_mtime_ns
        if changed_ns != spool.closed_ns(folder.name):
            count = sum(1 for _ in Path(folder.path).glob("*.dcm"))
            yield Job(
                spool.study_name(folder.name), JobState.RECEIVING, datetime.fromtimestamp(changed_ns / 1e9, UTC), count
            )


def _measured(client: DBOSClient) -> Iterator[Job]:
    studies = client.list_workflows(name=STUDY, sort_desc=True)  # first: those that are DONE have their deliveries
    deliveries: dict[str, list[Delivery]] = defaultdict(list)
    for status in client.list_workflows(name=DELIVERY):
        job, destination = job_and_destination(str(status.workflow_id))
        deliveries[job].append(_delivery(client, status, destination))
    for status in client.list_workflows(name=PROOF):
        job, destination = job_and_destination(str(status.workflow_id))
        deliveries[job] = [
            _with_proof(client, status, d) if d.destination == destination else d for d in deliveries[job]
        ]
    for status in studies:
        yield _job(status, tuple(sorted(deliveries[str(status.workflow_id)], key=lambda d: d.destination)))


def _job(status: WorkflowStatus, deliveries: tuple[Delivery, ...]) -> Job:
    """Join what is known of a study and of its deliveries."""
    name, images = str(status.workflow_id), int(status.input["args"][2]) if status.input else 0
    since = datetime.fromtimestamp((status.updated_at or status.created_at or 0) / 1000, UTC)
    state, reason = _ended(status)
    if state is JobState.DONE and any(d.state not in ENDED for d in deliveries):
        state = JobState.DELIVERING
    failed = next((d for d in deliveries if d.state is JobState.FAILED), None)
    if state is JobState.DONE and failed is not None:
        state, reason = JobState.FAILED, {"code": failed.code, "what": failed.what, "do": failed.do}
    return Job(name, state, since, images, **reason, deliveries=deliveries)


def _ended(status: WorkflowStatus) -> tuple[JobState, Mapping[str, str]]:
    """State of a workflow, and the reason where it failed."""
    if status.status == "SUCCESS" and status.output:
        reason = {key: str(status.output[key]) for key in ("code", "what", "do")}
        return JobState(status.output["state"]), reason
    state = _UNFINISHED.get(status.status, JobState.FAILED)
    if state is not JobState.FAILED:
        return state, {}
    what = f"the workflow engine reports {status.status}"
    return state, {"code": ComputingEnded.code, "what": what, "do": ComputingEnded.do}


def _delivery(client: DBOSClient, status: WorkflowStatus, destination: str) -> Delivery:
    """Say what a destination has; of a delivery that runs, what its attempts have brought so far."""
    state, reason = _ended(status)
    if status.status == "SUCCESS" and status.output:
        out = cast("DeliveryOutcome", status.output)
        counts = (len(out["stored"]), len(out["refused"]), len(out["waiting"]))
        instead = out.get("instead", {})
    else:
        files = list(status.input["args"][2]) if status.input else []
        fates, instead = dict.fromkeys(files, "waiting"), {}
        for step in client.list_workflow_steps(str(status.workflow_id)) if state is JobState.RUNNING else ():
            if step["function_name"] == "send" and step["output"]:
                fates |= step["output"]["fates"]
                instead |= step["output"].get("instead", {})
        counted = list(fates.values())
        counts = (counted.count("stored"), counted.count("refused"), counted.count("waiting"))
    code, what, do = (reason.get(name, "") for name in ("code", "what", "do"))
    return Delivery(destination, state, *counts, code, what, do, tuple(sorted(instead.items())))


def _with_proof(client: DBOSClient, status: WorkflowStatus, delivery: Delivery) -> Delivery:
    """Add what is proved of a delivery; of a proof that runs, what its steps have brought so far."""
    state, reason = _ended(status)
    if status.status == "SUCCESS" and status.output:
        out = cast("ProofOutcome", status.output)
        committed, seen = (None if files is None else len(files) for files in (out["committed"], out["seen"]))
    else:
        committed, seen = _proved_so_far(client.list_workflow_steps(str(status.workflow_id)))
    found = replace(delivery, proof=state, committed=committed, seen=seen)
    if delivery.state is not JobState.DONE:
        return found
    code, what, do = (reason.get(name, "") for name in ("code", "what", "do"))
    return replace(found, state=state, code=code, what=what, do=do)


def _proved_so_far(steps: Sequence[Mapping[str, Any]]) -> tuple[int | None, int | None]:
    """Count what the steps of a proof have brought."""
    outputs = {name: [s["output"] for s in steps if s["function_name"] == name and s["output"]] for name in _PROVING}
    plan: Mapping[str, Any] = next(iter(outputs["plan"]), {})
    committed = {uid for output in outputs["answer"] for uid in output["uids"]}
    seen = {uid for output in outputs["see"][-1:] for uid in output["uids"]}
    return len(committed) if plan.get("commitment") else None, len(seen) if plan.get("read_back") else None


def _studies_with(spool: Spool, text: str) -> set[str]:
    """Keys of the studies that name what an operator types; closed ones by their manifests, others by their files."""
    wanted = search_digest(text)
    manifests = (read_manifest(path) for path in (spool.root / "manifests").glob("*/*.json"))
    found = {m.key for m in manifests if any(wanted in o.found_by for o in m.objects)}
    for folder in spool.received.iterdir():
        if folder.is_dir() and not spool.manifests_of(folder.name):
            found |= {folder.name} if any(wanted in o.found_by for o in read_folder(folder)) else set()
    return found


@contextmanager
def _client(settings: Settings) -> Iterator[DBOSClient | None]:
    """Connect to the workflow database; None where none has been made yet."""
    url = settings.workflow_database_url
    if not _is_made(sa.make_url(url)):
        yield None
        return
    client = DBOSClient(system_database_url=url)
    try:
        yield client
    finally:
        client.destroy()


def _is_made(url: sa.URL) -> bool:
    """Whether a worker has made the tables; connecting to SQLite would make an empty file."""
    sqlite = url.drivername.startswith("sqlite")
    if sqlite and not Path(url.database or "").is_file():
        return False
    engine = sa.create_engine(url if sqlite else url.set(drivername="postgresql+psycopg"))
    try:
        return sa.inspect(engine).has_table("workflow_status", schema=None if sqlite else "dbos")
    finally:
        engine.dispose()
