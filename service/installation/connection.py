"""A destination → whether it answers, and which classes of objects it takes. Nothing is stored there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

from lnc_dicom.outputs import Output
from lnc_dicom.uids import LABEL_MAP_SEGMENTATION
from lnc_service.alternatives import CLASS_INSTEAD
from lnc_service.associate import requestor
from lnc_service.settings import Pacs

CLASSES_OF: Mapping[Output, tuple[UID, ...]] = MappingProxyType(
    {
        Output.SEG: (SegmentationStorage,),
        Output.SR: (Comprehensive3DSRStorage,),
        Output.SUMMARY: (SecondaryCaptureImageStorage,),
        Output.BIOMARKER: (Comprehensive3DSRStorage, SecondaryCaptureImageStorage),
        Output.SALIENCY: (SecondaryCaptureImageStorage,),
        Output.LABELMAP: (UID(LABEL_MAP_SEGMENTATION),),
        Output.MAP: (ParametricMapStorage,),
        Output.TEXT: (Comprehensive3DSRStorage,),
        Output.PDF: (EncapsulatedPDFStorage,),
    }
)
"""SOP classes of every kind of object that is sent."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What came of it.

    echo_ms
        Time until the answer to C-ECHO; None: it was not answered, and `why` says what happened.
    taken, instead, refused
        Kinds of objects that the destination takes, that it takes in another class, and that it does not take.
    """

    echo_ms: float | None
    why: str = ""
    taken: tuple[Output, ...] = ()
    instead: tuple[Output, ...] = ()
    refused: tuple[Output, ...] = ()

    @property
    def good(self) -> bool:
        """Whether every object would be stored."""
        return self.echo_ms is not None and not self.refused

    def __str__(self) -> str:
        """Say it in a line."""
        if self.echo_ms is None:
            return self.why
        parts = [f"C-ECHO answered after {self.echo_ms:.0f} ms"]
        for words, kinds in (
            ("takes", self.taken),
            ("takes in another class", self.instead),
            ("refuses", self.refused),
        ):
            parts += [f"{words} {', '.join(kinds)}"] * bool(kinds)
        return "; ".join(parts)


def test_connection(pacs: Pacs, calling_ae_title: str, objects: Sequence[Output]) -> Connection:
    """Ask a destination whether it is there (C-ECHO), and which of these objects it would take."""
    ae = requestor(calling_ae_title, pacs.timeout_s)
    ae.add_requested_context(Verification)
    kinds = [kind for kind in objects if kind in CLASSES_OF]
    classes = [sop_class for kind in kinds for sop_class in CLASSES_OF[kind]]
    for sop_class in dict.fromkeys([*classes, *(CLASS_INSTEAD[c] for c in classes if c in CLASS_INSTEAD)]):
        ae.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    began = time.perf_counter()
    association = ae.associate(pacs.host, pacs.port, ae_title=pacs.ae_title)
    if not association.is_established:
        return Connection(None, f"no association with port {pacs.port}: {_why(association)}")
    try:
        status = association.send_c_echo().get("Status") if _accepts(association, Verification) else None
        took_ms = (time.perf_counter() - began) * 1000
        if status != 0:
            said = "is not accepted" if status is None else f"has status {status:04X}"
            return Connection(None, f"there is an association, but C-ECHO {said}")
        return _sorted(association, kinds, took_ms)
    finally:
        association.release()


def _sorted(association: Association, kinds: Sequence[Output], took_ms: float) -> Connection:
    taken, instead, refused = [], [], []
    for kind in kinds:
        classes = CLASSES_OF[kind]
        others = [CLASS_INSTEAD.get(sop_class, sop_class) for sop_class in classes]
        either = zip(classes, others, strict=True)
        if all(_accepts(association, sop_class) for sop_class in classes):
            taken.append(kind)
        elif all(_accepts(association, one) or _accepts(association, other) for one, other in either):
            instead.append(kind)
        else:
            refused.append(kind)
    return Connection(took_ms, "", tuple(taken), tuple(instead), tuple(refused))


def _accepts(association: Association, sop_class: UID) -> bool:
    return any(context.abstract_syntax == sop_class for context in association.accepted_contexts)


def _why(association: Association) -> str:
    if association.is_rejected:
        answer = association.acceptor.primitive
        return f"rejected, {answer.reason_str.lower()}" if answer is not None else "rejected"
    return "aborted" if association.is_aborted else "nothing answers"
