"""The workflow engine: its queues, the names of what runs in them, and the parts that workflows work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig

from lnc_service.child import Computer, StoppingError
from lnc_service.logs import log
from lnc_service.settings import Settings
from lnc_service.spool import Spool

STUDY, DELIVERY, PROOF = "study", "delivery", "proof"
"""Names of the workflows."""
STUDIES, DELIVERIES, PROOFS = "studies", "deliveries", "proofs"
"""Names of their queues."""
WORKFLOW_VERSION = "2"
"""Changes when the steps change: a job is resumed only by code that has the same steps."""
_SEPARATOR = ">"
"""Between job and destination in the name of a delivery; names of jobs do not hold it."""
_PROOF_OF = "proof:"
"""Before the name of the delivery that a proof is of."""
_POLL_S = 0.5


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


def parts() -> Parts:
    """Give what `equip` was handed."""
    return _parts[0]


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
    DBOS.register_queue(PROOFS, polling_interval_sec=_POLL_S)


def delivery_name(job: str, destination: str) -> str:
    """Name of the workflow that delivers a job to a destination."""
    return f"{job}{_SEPARATOR}{destination}"


def proof_name(job: str, destination: str) -> str:
    """Name of the workflow that proves a delivery."""
    return f"{_PROOF_OF}{delivery_name(job, destination)}"


def job_and_destination(name: str) -> tuple[str, str]:
    """Take the name of a delivery, or of its proof, apart."""
    job, _, destination = name.removeprefix(_PROOF_OF).partition(_SEPARATOR)
    return job, destination


def queue_of(name: str) -> str:
    """Give the queue of the workflow with this name."""
    if name.startswith(_PROOF_OF):
        return PROOFS
    return DELIVERIES if _SEPARATOR in name else STUDIES


_in_hand: set[str] = set()


def in_hand() -> frozenset[str]:
    """Give the names of the workflows that run in this process."""
    return frozenset(_in_hand)


@contextmanager
def has_in_hand(job: str) -> Iterator[None]:
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
