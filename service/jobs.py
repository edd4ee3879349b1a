"""What happened to every study, read from the workflow database and the spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from dbos import DBOSClient, WorkflowStatus
from lnc_service.settings import Settings
from lnc_service.spool import Spool
from lnc_service.workflow import QUEUE, WORKFLOW, WORKFLOW_VERSION

from lnc_dicom.errors import UnusableInput

_COMPUTE_STEP, _DELIVER_STEP = 1, 2
_UNFINISHED = {"ENQUEUED": "WAITING", "PENDING": "RUNNING", "DELAYED": "WAITING"}


@dataclass(frozen=True, slots=True)
class Job:
    """One line of `lnc jobs list`. `since` is when the state began."""

    name: str
    state: str
    since: datetime
    objects: int
    code: str = ""
    what: str = ""
    do: str = ""


def list_jobs(settings: Settings) -> list[Job]:
    """All jobs, the newest first, and the studies that are still arriving."""
    spool = Spool(settings.spool)
    if not spool.received.is_dir():
        return []
    received = {study.job: study for study in spool.studies()}
    with _client(settings) as client:
        found = client.list_workflows(name=WORKFLOW, sort_desc=True) if client else []
    known = {_job_name(status) for status in found}
    arriving = [
        Job(s.job, "RECEIVING", datetime.fromtimestamp(s.last_arrival, UTC), s.objects)
        for s in received.values()
        if s.job not in known
    ]
    counts = {job: study.objects for job, study in received.items()}
    return arriving + [_job(status, counts.get(_job_name(status), 0)) for status in found]


def retry(settings: Settings, name: str) -> str:
    """Run a job that failed again: from the delivery if there are results, else from the start.

    Returns the name of the new run. Raises UnusableInput.
    """
    computed = (Spool(settings.spool).results(name) / "segmentation.dcm").is_file()
    with _client(settings) as client:
        if client is None or not client.list_workflows(workflow_ids=[name]):
            raise UnusableInput(f"there is no job {name}")
        step = _DELIVER_STEP if computed else _COMPUTE_STEP
        handle = client.fork_workflow(name, step, application_version=WORKFLOW_VERSION, queue_name=QUEUE)
        return str(handle.get_workflow_id())


@contextmanager
def _client(settings: Settings) -> Iterator[DBOSClient | None]:
    """Connect to the workflow database; None where none has been made yet."""
    url = settings.workflow_database_url
    if url.startswith("sqlite:///") and not (settings.spool / "workflows.sqlite").exists():
        yield None
        return
    client = DBOSClient(system_database_url=url)
    try:
        yield client
    finally:
        client.destroy()


def _job_name(status: WorkflowStatus) -> str:
    return str(status.input["args"][1]) if status.input else str(status.workflow_id)


def _job(status: WorkflowStatus, objects: int) -> Job:
    since = datetime.fromtimestamp((status.updated_at or status.created_at or 0) / 1000, UTC)
    if status.status == "SUCCESS" and status.output:
        out = status.output
        return Job(status.workflow_id, out["state"], since, objects, out["code"], out["what"], out["do"])
    state = _UNFINISHED.get(status.status, "FAILED")
    what = "" if state != "FAILED" else f"the workflow engine reports {status.status}"
    return Job(status.workflow_id, state, since, objects, "LNC-300" if what else "", what)
