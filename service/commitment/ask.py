"""Objects that a destination has stored → the request that it commit itself to keep them (N-ACTION, PS3.4 J.3.2)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum

from pydicom import Dataset
from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from lnc_service.associate import association
from lnc_service.commitment.answers import NOT_ASKED, answer_to, expect, keep_answer
from lnc_service.settings import Pacs
from lnc_service.spool import Spool
from lnc_service.states import Reference

ANSWER_ON_THIS_ASSOCIATION_S = 3.0
"""How long the association stays open for an answer; after that the destination opens one of its own."""
_REQUEST_COMMITMENT = 1
_LOOK_S = 0.05


class Asked(StrEnum):
    """What became of a request."""

    TAKEN = "taken"
    """The destination will answer, or has."""
    NOT_OFFERED = "not offered"
    """It does not offer storage commitment."""
    REFUSED = "refused"
    """It answered with a failure, or not at all; it may be asked again."""


def ask_for_commitment(
    references: Sequence[Reference], pacs: Pacs, calling_ae_title: str, transaction: str, spool: Spool
) -> Asked:
    """Ask once. The answer is kept in the spool, whichever association brings it. Raises PacsUnreachable, OSError."""
    expect(spool, transaction)
    handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: _on_report(event, spool))]
    roles = [build_role(StorageCommitmentPushModel, scu_role=True)]
    classes = [str(StorageCommitmentPushModel)]
    with association(pacs, calling_ae_title, classes, handlers, roles) as peer:
        if not peer.is_established:
            return Asked.NOT_OFFERED
        asked = _ask(peer, references, transaction)
        end = time.monotonic() + ANSWER_ON_THIS_ASSOCIATION_S
        while asked is Asked.TAKEN and peer.is_established and time.monotonic() < end:
            if answer_to(spool, transaction) is not None:
                break
            time.sleep(_LOOK_S)
    return asked


def _ask(peer: Association, references: Sequence[Reference], transaction: str) -> Asked:
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = [_item(reference) for reference in references]
    instance = str(StorageCommitmentPushModelInstance)
    try:
        status, _ = peer.send_n_action(request, _REQUEST_COMMITMENT, StorageCommitmentPushModel, instance)
    except (RuntimeError, ValueError):  # the association has ended
        return Asked.REFUSED
    return Asked.TAKEN if status.get("Status") == 0 else Asked.REFUSED


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference["sop_class"]
    item.ReferencedSOPInstanceUID = reference["sop_instance"]
    return item


def _on_report(event: evt.Event, spool: Spool) -> tuple[int, None]:
    return (0x0000 if keep_answer(spool, event.event_information) else NOT_ASKED), None
