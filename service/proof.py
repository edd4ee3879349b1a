"""A delivery → its proof: the destination commits itself to keep what it stored, and shows it.

A durable workflow of its own for each delivery: a destination that commits at night holds up no delivery. What it will
not keep, or does not show, is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import sqlalchemy as sa
from dbos import DBOS, SetWorkflowID

from lnc_dicom.errors import CommitmentNotOffered, Defect, DestinationUnknown, LncError, NotCommitted, NotSeen
from lnc_dicom.errors import PacsUnreachable as Unreachable
from lnc_dicom.uids import uid
from lnc_service.commitment.answers import answer_to, forget_transaction
from lnc_service.commitment.ask import Asked, ask_for_commitment
from lnc_service.deliver import deliver
from lnc_service.engine import PROOF, PROOFS, has_in_hand, parts, proof_name
from lnc_service.logs import log
from lnc_service.query.find import find_images
from lnc_service.settings import Pacs
from lnc_service.states import JobState, ProofOutcome, Reference

References = Mapping[str, Reference]
"""Objects as they were stored, by name of their file."""
SENT_AGAIN = 3
"""How often objects are sent again that a destination will not keep or does not show."""
_HOUR_S = 3600.0


class Plan(TypedDict):
    """What is proved, as the settings said when the proof began."""

    commitment: bool
    read_back: bool
    within_s: float
    at: float


class Answer(TypedDict):
    """SOP Instance UIDs that a destination has committed or shows; `answered` is false while it has not answered."""

    answered: bool
    uids: list[str]
    at: float


@dataclass(slots=True)
class _State:
    """Where a proof stands; made anew from the steps when it is resumed."""

    plan: Plan
    waits: int = 0
    sent_again: int = 0
    requests: int = 0
    committed: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def is_late(self, now: float) -> bool:
        """Whether the time is over."""
        return now - self.plan["at"] > self.plan["within_s"]

    async def wait(self) -> None:
        """Wait, longer each time."""
        self.waits += 1
        await DBOS.sleep_async(parts().settings.retry.wait_s(self.waits))


def enqueue_proof(job: str, destination: str, references: References) -> None:
    """Enqueue the proof of what a destination has stored."""
    with SetWorkflowID(proof_name(job, destination)):
        DBOS.enqueue_workflow(PROOFS, run_proof, job, destination, dict(references))


@DBOS.workflow(name=PROOF, max_recovery_attempts=None)
async def run_proof(job: str, destination: str, references: dict[str, Reference]) -> ProofOutcome:
    """Prove a delivery. The one place where errors of a proof are caught."""
    with has_in_hand(job):
        try:
            outcome = await _run_proof(job, destination, references)
        except sa.exc.SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - the frames are logged
            log.error("failed", extra={"job": job, "destination": destination}, exc_info=error)
            outcome = _outcome(destination, Defect(f"{type(error).__name__}, see the log"))
        extra = {"job": job, "destination": destination, "state": outcome["state"], "code": outcome["code"]}
        log.info("proved" if outcome["state"] == JobState.DONE else "not proved", extra=extra)
        return outcome


async def _run_proof(job: str, destination: str, references: References) -> ProofOutcome:
    plan = await DBOS.run_step_async({"name": "plan"}, _plan, destination)
    if plan is None:
        return _outcome(destination, DestinationUnknown("the settings have no destination of this name"))
    state, error = _State(plan), None
    if plan["commitment"]:
        error = await _commit(state, job, destination, references)
    if plan["read_back"] and error is None:
        error = await _see(state, job, destination, references)
    return _outcome(destination, error, state)


def _outcome(destination: str, error: LncError | None, state: _State | None = None) -> ProofOutcome:
    return ProofOutcome(
        destination=destination,
        state=(JobState.FAILED if error else JobState.DONE).value,
        code=error.code if error else "",
        what=error.what if error else "",
        do=error.do if error else "",
        committed=sorted(state.committed) if state and state.plan["commitment"] else None,
        seen=sorted(state.seen) if state and state.plan["read_back"] else None,
    )


def _plan(destination: str) -> Plan | None:
    pacs = parts().settings.destination(destination)
    if pacs is None:
        return None
    within_s = pacs.proof_within_h * _HOUR_S
    return Plan(commitment=pacs.commitment, read_back=pacs.read_back, within_s=within_s, at=time.time())


async def _commit(state: _State, job: str, destination: str, references: References) -> LncError | None:
    """Ask for commitment until every object is committed; give the reason where that does not come about."""
    while True:
        open_ = {name: r for name, r in references.items() if name not in state.committed}
        if not open_:
            return None
        state.requests += 1
        transaction = uid("commitment", proof_name(job, destination), str(state.requests))
        asked = await DBOS.run_step_async({"name": "ask"}, _ask, job, destination, list(open_.values()), transaction)
        if asked == Asked.NOT_OFFERED:
            return CommitmentNotOffered(f"{destination} does not accept Storage Commitment Push Model")
        answer = await _wait_for_answer(state, transaction, taken=asked == Asked.TAKEN)
        kept = frozenset(answer["uids"])
        state.committed |= {name for name, r in open_.items() if r["sop_instance"] in kept}
        if state.committed.issuperset(references):
            return None
        if state.is_late(answer["at"]) or (answer["answered"] and state.sent_again >= SENT_AGAIN):
            said = "" if answer["answered"] else " and has not answered"
            return NotCommitted(
                f"{destination} has committed {len(state.committed)} of {len(references)} objects{said}"
            )
        if answer["answered"]:
            missing = sorted(open_.keys() - state.committed)
            await _send_again(state, job, destination, missing)


async def _wait_for_answer(state: _State, transaction: str, *, taken: bool) -> Answer:
    """Wait for the answer to a request; where the request was not taken, only until it is time to ask again."""
    while True:
        answer = await DBOS.run_step_async({"name": "answer"}, _answer, transaction)
        if answer["answered"] or state.is_late(answer["at"]):
            return answer
        await state.wait()
        if not taken:
            return answer


async def _see(state: _State, job: str, destination: str, references: References) -> LncError | None:
    """Look for every object until all are shown; what is not shown after some looks is sent again."""
    looks = 0
    while True:
        found = await DBOS.run_step_async({"name": "see"}, _shown, job, destination, list(references.values()))
        shown = frozenset(found["uids"])
        state.seen |= {name for name, r in references.items() if r["sop_instance"] in shown}
        if state.seen.issuperset(references):
            return None
        if state.is_late(found["at"]):
            said = "" if found["answered"] else "; it does not answer C-FIND"
            return NotSeen(f"{destination} shows {len(state.seen)} of {len(references)} objects{said}")
        looks += found["answered"]
        if found["answered"] and looks > SENT_AGAIN and state.sent_again < SENT_AGAIN:
            await _send_again(state, job, destination, sorted(references.keys() - state.seen))
        await state.wait()


async def _send_again(state: _State, job: str, destination: str, names: Sequence[str]) -> None:
    state.sent_again += 1
    log.warning("sent again", extra={"job": job, "destination": destination, "objects": len(names)})
    await DBOS.run_step_async({"name": "send again"}, _send, job, destination, list(names))


def _destination(name: str) -> Pacs | None:
    return parts().settings.destination(name)


def _ask(job: str, destination: str, references: list[Reference], transaction: str) -> str:
    known, pacs = parts(), _destination(destination)
    if pacs is None:
        return Asked.REFUSED.value
    try:
        title = known.settings.listen.ae_title
        return ask_for_commitment(references, pacs, title, transaction, known.spool).value
    except (Unreachable, OSError):
        log.warning("not asked", extra={"job": job, "destination": destination})
        return Asked.REFUSED.value


def _answer(transaction: str) -> Answer:
    """Look for an answer; one that is there is taken."""
    spool = parts().spool
    answer = answer_to(spool, transaction)
    if answer is None:
        return Answer(answered=False, uids=[], at=time.time())
    forget_transaction(spool, transaction)
    return Answer(answered=True, uids=list(answer.committed), at=time.time())


def _shown(job: str, destination: str, references: list[Reference]) -> Answer:
    """Ask what the destination shows."""
    pacs, title = _destination(destination), parts().settings.listen.ae_title
    if pacs is None:
        return Answer(answered=False, uids=[], at=time.time())
    try:
        study = references[0]["study"] if references else ""
        found = find_images(pacs, title, study, sorted({r["series"] for r in references}))
    except Unreachable:
        log.warning("not seen", extra={"job": job, "destination": destination})
        return Answer(answered=False, uids=[], at=time.time())
    shown = {r["sop_instance"] for r in references if r["sop_instance"] in found[r["series"]]}
    return Answer(answered=True, uids=sorted(shown), at=time.time())


def _send(job: str, destination: str, names: list[str]) -> bool:
    """Send files again; what is not stored this time either is found at the next look."""
    known, pacs = parts(), _destination(destination)
    if pacs is None:
        return False
    folder = known.spool.results(job)
    try:
        deliver([folder / name for name in names], pacs, known.settings.listen.ae_title)
    except Unreachable:
        return False
    return True
