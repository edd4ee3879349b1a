"""What destinations answered to requests for storage commitment: files of the spool, the receiver writes, workers read.

    SPOOL/commitments/<digest of the transaction>.asked    a worker has asked, or is about to
    SPOOL/commitments/<digest of the transaction>.json     the answer

An answer that nobody asked for is not kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydicom import Dataset

from lnc_service.spool import Spool, write_durably

ASKED, ANSWERED = ".asked", ".json"
NOT_ASKED = 0x0115
"""Status (Invalid Argument Value, PS3.7 C.5.9) for an answer that nobody asked for."""
_LENGTH = 24


@dataclass(frozen=True, slots=True)
class CommitmentAnswer:
    """What a destination said of the objects of one transaction.

    committed
        SOP Instance UIDs that it will keep.
    failed
        Failure reason (PS3.3 C.14.1.1) by SOP Instance UID of those that it will not.
    """

    committed: tuple[str, ...]
    failed: Mapping[str, int]


def expect(spool: Spool, transaction: str) -> None:
    """Let the answer to a transaction be kept."""
    path = _path(spool, transaction, ASKED)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, b"")


def keep_answer(spool: Spool, report: Dataset) -> bool:
    """Keep what an N-EVENT-REPORT says (PS3.4 J.3.3); tell whether somebody had asked. Raises OSError."""
    transaction = str(report.get("TransactionUID") or "")
    if not transaction or not _path(spool, transaction, ASKED).is_file():
        return False
    committed = [str(item.ReferencedSOPInstanceUID) for item in report.get("ReferencedSOPSequence") or ()]
    failed = {
        str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason") or 0)
        for item in report.get("FailedSOPSequence") or ()
    }
    answer = CommitmentAnswer(tuple(committed), failed)
    write_durably(_path(spool, transaction, ANSWERED), json.dumps(asdict(answer)).encode())
    return True


def answer_to(spool: Spool, transaction: str) -> CommitmentAnswer | None:
    """Give the answer to a transaction; None while there is none."""
    try:
        values = json.loads(_path(spool, transaction, ANSWERED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return CommitmentAnswer(tuple(values["committed"]), values["failed"])


def forget_transaction(spool: Spool, transaction: str) -> None:
    """Remove what was kept of a transaction; a later answer to it is not kept."""
    for suffix in (ASKED, ANSWERED):
        _path(spool, transaction, suffix).unlink(missing_ok=True)


def _path(spool: Spool, transaction: str, suffix: str) -> Path:
    return spool.commitments / f"{hashlib.sha256(transaction.encode()).hexdigest()[:_LENGTH]}{suffix}"
