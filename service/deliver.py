"""Results → PACS by C-STORE. The same files with the same UIDs, as often as needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pydicom
from pydicom import FileDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config
from pynetdicom.association import Association

from lnc_dicom.errors import PacsUnreachable
from lnc_service.settings import Pacs

_STORED = frozenset({0x0000, 0xB000, 0xB006, 0xB007, 0x0111})
"""Success, warnings after which the object is stored (PS3.4 B.2.3), and Duplicate SOP Instance: it is there already."""
_REFUSED = frozenset({0x0117, 0x0122, 0x0124})
"""Invalid object, SOP class not supported, not authorised (PS3.7 C): the same object will be refused again."""
_REFUSED_FAMILIES = (0xA900, 0xC000)
"""Does not match its SOP class, and cannot be understood (PS3.4 B.2.3): refused again as well."""


class Fate(StrEnum):
    """What became of an object at a destination."""

    STORED = "stored"
    """The destination has it."""
    REFUSED = "refused"
    """The destination does not take it and will not take it another time."""
    WAITING = "waiting"
    """Not stored yet; it is sent again."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a destination answered.

    fates
        What became of every file, by name.
    reasons
        Status or reason for every file that was not stored.
    """

    fates: Mapping[str, Fate]
    reasons: Mapping[str, str]


def deliver(files: Sequence[Path], pacs: Pacs, calling_ae_title: str) -> Answers:
    """Send files in order over one association; one that is refused does not hold up the others.

    Raises PacsUnreachable where there is no association.
    """
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    datasets = {file.name: pydicom.dcmread(file) for file in files}
    ae = AE(ae_title=calling_ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = pacs.timeout_s
    for sop_class, syntax in _contexts(datasets.values()):
        ae.add_requested_context(sop_class, syntax)
    association = ae.associate(pacs.host, pacs.port, ae_title=pacs.ae_title)
    if not association.is_established:
        raise PacsUnreachable(
            f"no association with port {pacs.port}" + (", rejected" if association.is_rejected else "")
        )
    try:
        answers = {name: _store(association, dataset) for name, dataset in datasets.items()}
    finally:
        association.release()
    return Answers(
        {name: fate for name, (fate, _) in answers.items()},
        {name: reason for name, (fate, reason) in answers.items() if fate is not Fate.STORED},
    )


def _contexts(datasets: Iterable[FileDataset]) -> Sequence[tuple[UID, UID]]:
    """Offer each class as it is on disk, and in the syntaxes to which it can be converted, each in its own context.

    Implicit VR Little Endian is every application's default (PS3.5 10.1); some offer nothing else.
    """
    offered: dict[tuple[UID, UID], None] = {}
    for dataset in datasets:
        for syntax in (dataset.file_meta.TransferSyntaxUID, ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            offered[dataset.SOPClassUID, syntax] = None
    return tuple(offered)


def _store(association: Association, dataset: FileDataset) -> tuple[Fate, str]:
    """Send one object; give its fate and the reason.

    Where its own transfer syntax was not accepted it is decompressed here, and pynetdicom writes implicit VR.
    """
    contexts = association.accepted_contexts
    accepted = [c.transfer_syntax[0] for c in contexts if c.abstract_syntax == dataset.SOPClassUID]
    if not accepted and association.is_established:
        return Fate.REFUSED, "SOP class not accepted"
    if dataset.file_meta.TransferSyntaxUID.is_compressed and dataset.file_meta.TransferSyntaxUID not in accepted:
        dataset.decompress(generate_instance_uid=False)
    try:
        answer = association.send_c_store(dataset)
    except (RuntimeError, ValueError):  # the association has ended, or the peer has
        return Fate.WAITING, "no answer"
    if "Status" not in answer:
        return Fate.WAITING, "no answer"
    return fate_of(answer.Status), f"status {answer.Status:04X}"


def fate_of(status: int) -> Fate:
    """Say what the status of a C-STORE means for the object."""
    if status in _STORED:
        return Fate.STORED
    refused = status in _REFUSED or status & 0xFF00 == _REFUSED_FAMILIES[0] or status & 0xF000 == _REFUSED_FAMILIES[1]
    return Fate.REFUSED if refused else Fate.WAITING
