"""Results → PACS by C-STORE. The same files with the same UIDs, as often as needed.

Where a destination does not take the class of an object, it gets the same in a class that it takes, if there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import pydicom
from pydicom import Dataset, FileDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association

from lnc_service.alternatives import CLASS_INSTEAD, NoAlternativeError, alternative_to
from lnc_service.associate import requestor, unreachable
from lnc_service.settings import Pacs
from lnc_service.states import Reference

_STORED = frozenset({0x0000, 0xB000, 0xB006, 0xB007, 0x0111})
"""Success, warnings after which the object is stored (PS3.4 B.2.3), and Duplicate SOP Instance: it is there already."""
_REFUSED = frozenset({0x0117, 0x0122, 0x0124})
"""Invalid object, SOP class not supported, not authorised (PS3.7 C): the same object will be refused again."""
_CLASS_REFUSED = 0x0122
_NOT_SUPPORTED = frozenset({3, 4})
"""Abstract syntax, transfer syntaxes not supported: results of a presentation context (PS3.8 9.3.3.2)."""
_NOT_ACCEPTED = "SOP class not accepted"
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
    instead
        Name of the SOP class in which a file was stored, where that is not its own.

    `references` names every object that was stored, as it was stored, by name of its file.
    """

    fates: Mapping[str, Fate]
    reasons: Mapping[str, str]
    instead: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of one object.

    takes_class
        False where the destination does not take the class of the object.
    instead
        Name of the class that it took instead.
    reference
        What it took.
    """

    fate: Fate
    reason: str
    takes_class: bool = True
    instead: str = ""
    reference: Reference | None = None


def deliver(files: Sequence[Path], pacs: Pacs, calling_ae_title: str) -> Answers:
    """Send files in order over one association; one that is refused does not hold up the others.

    Raises PacsUnreachable where there is no association, unless the peer answers that it knows none of the classes.
    """
    datasets = {file: pydicom.dcmread(file) for file in files}
    ae = requestor(calling_ae_title, pacs.timeout_s)
    for sop_class, syntax in _contexts(list(datasets.values())):
        ae.add_requested_context(sop_class, syntax)
    association = ae.associate(pacs.host, pacs.port, ae_title=pacs.ae_title)
    if _takes_nothing(association):
        return Answers({f.name: Fate.REFUSED for f in files}, {f.name: _NOT_ACCEPTED for f in files})
    if not association.is_established:
        raise unreachable(pacs, association)
    try:
        answers = {file.name: _store_or_instead(association, file, dataset) for file, dataset in datasets.items()}
    finally:
        association.release()
    return Answers(
        {name: answer.fate for name, answer in answers.items()},
        {name: answer.reason for name, answer in answers.items() if answer.fate is not Fate.STORED},
        {name: answer.instead for name, answer in answers.items() if answer.instead},
        {name: answer.reference for name, answer in answers.items() if answer.reference},
    )


def _takes_nothing(association: Association) -> bool:
    """Tell whether the peer accepted the association and none of its contexts, for good; pynetdicom then aborts it."""
    return (
        bool(association.rejected_contexts)
        and not association.accepted_contexts
        and all(context.result in _NOT_SUPPORTED for context in association.rejected_contexts)
    )


def _contexts(datasets: Sequence[FileDataset]) -> Sequence[tuple[UID, UID]]:
    """Offer each class as it is on disk, and in the syntaxes to which it can be converted, each in its own context.

    Implicit VR Little Endian is every application's default (PS3.5 10.1); some offer nothing else. The classes that
    may be sent instead come last.
    """
    offered: dict[tuple[UID, UID], None] = {}
    for dataset in datasets:
        for syntax in (dataset.file_meta.TransferSyntaxUID, ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            offered[dataset.SOPClassUID, syntax] = None
    for instead in (CLASS_INSTEAD[d.SOPClassUID] for d in datasets if d.SOPClassUID in CLASS_INSTEAD):
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            offered[instead, syntax] = None
    return tuple(offered)


def _store_or_instead(association: Association, file: Path, dataset: FileDataset) -> _Answer:
    """Send one object; where its class is refused, what can be sent instead."""
    answer = _store(association, dataset)
    if answer.takes_class or dataset.SOPClassUID not in CLASS_INSTEAD:
        return answer
    try:
        other = alternative_to(file, dataset)
    except NoAlternativeError as error:
        return replace(answer, reason=f"{answer.reason}; {error}")
    name = other.SOPClassUID.name
    second = _store(association, other)
    if second.fate is Fate.STORED:
        return replace(second, instead=name)
    return replace(second, reason=f"{answer.reason}; as {name}: {second.reason}")


def _store(association: Association, dataset: FileDataset) -> _Answer:
    """Send one object.

    Where its own transfer syntax was not accepted it is decompressed here, and pynetdicom writes implicit VR.
    """
    contexts = association.accepted_contexts
    accepted = [c.transfer_syntax[0] for c in contexts if c.abstract_syntax == dataset.SOPClassUID]
    if not accepted and association.is_established:
        return _Answer(Fate.REFUSED, _NOT_ACCEPTED, takes_class=False)
    if dataset.file_meta.TransferSyntaxUID.is_compressed and dataset.file_meta.TransferSyntaxUID not in accepted:
        dataset.decompress(generate_instance_uid=False)
    try:
        answer = association.send_c_store(dataset)
    except (RuntimeError, ValueError):  # the association has ended, or the peer has
        return _Answer(Fate.WAITING, "no answer")
    if "Status" not in answer:
        return _Answer(Fate.WAITING, "no answer")
    status, fate = answer.Status, fate_of(answer.Status)
    stored = reference_of(dataset) if fate is Fate.STORED else None
    return _Answer(fate, f"status {status:04X}", takes_class=status != _CLASS_REFUSED, reference=stored)


def reference_of(dataset: Dataset) -> Reference:
    """Say by which UIDs an object is known."""
    return Reference(
        sop_class=str(dataset.SOPClassUID),
        sop_instance=str(dataset.SOPInstanceUID),
        series=str(dataset.SeriesInstanceUID),
        study=str(dataset.StudyInstanceUID),
    )


def fate_of(status: int) -> Fate:
    """Say what the status of a C-STORE means for the object."""
    if status in _STORED:
        return Fate.STORED
    refused = status in _REFUSED or status & 0xFF00 == _REFUSED_FAMILIES[0] or status & 0xF000 == _REFUSED_FAMILIES[1]
    return Fate.REFUSED if refused else Fate.WAITING
