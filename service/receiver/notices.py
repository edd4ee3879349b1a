"""What others tell us beside images: storage commitments of what we delivered.

A notice is small; it is held in memory, decoded within bounds, and kept in the spool before it is answered.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import pydicom
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode
from pynetdicom.sop_class import StorageCommitmentPushModel

from lnc_service.commitment.answers import NOT_ASKED, keep_answer
from lnc_service.logs import log
from lnc_service.spool import Spool

N_EVENT_REPORT, N_SET, N_ACTION, N_CREATE = 0x0100, 0x0120, 0x0130, 0x0140
"""Command fields (PS3.7 E.1)."""
SUCCESS, PROCESSING_FAILURE, NOT_PERFORMED = 0x0000, 0x0110, 0x0211
"""Statuses (PS3.7 C); the last is that of an operation which we do not perform."""
NOTICE_BYTES_MAX = 2 << 20
"""A performed procedure step that names 10,000 images takes 1.5 MB."""
NOTICES = (str(StorageCommitmentPushModel),)
"""SOP classes of which we take notice."""
NOTICE_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_ITEM = b"\xfe\xff\x00\xe0"
_ITEMS_MAX = 20_000
"""An item costs pydicom a kilobyte or two, whatever it holds."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A request of the DIMSE-N services with its data set, encoded."""

    field: int
    sop_class: str
    sop_instance: str
    data: bytes
    transfer_syntax: str


def hear(spool: Spool, notice: Notice) -> int:
    """Keep what a notice says; give the status to answer. Raises OSError."""
    if notice.field == N_ACTION:
        return NOT_PERFORMED
    data = _decode(notice)
    if data is None:
        status = PROCESSING_FAILURE
    elif notice.field == N_EVENT_REPORT and notice.sop_class == StorageCommitmentPushModel:
        status = SUCCESS if keep_answer(spool, data) else NOT_ASKED
    else:
        status = NOT_PERFORMED
    if status != SUCCESS:
        log.warning("notice refused", extra={"status": f"{status:04X}"})
    return status


def _decode(notice: Notice) -> Dataset | None:
    """Decode the data set; None if it cannot be decoded or would take much memory."""
    if notice.data.count(_ITEM) > _ITEMS_MAX:
        return None
    implicit = notice.transfer_syntax == ImplicitVRLittleEndian
    try:
        data = decode(io.BytesIO(notice.data), implicit, True)  # noqa: FBT003 - pynetdicom's signature
        data.walk(lambda _dataset, _element: None)
    except (ValueError, KeyError, EOFError, AttributeError, NotImplementedError, pydicom.errors.BytesLengthException):
        return None
    return data if isinstance(data, Dataset) else None
