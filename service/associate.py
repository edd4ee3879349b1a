"""Associations that we ask for: one way to set time limits, and no identifiers in pynetdicom's log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

from lnc_dicom.errors import PacsUnreachable

Handlers = Sequence[tuple[evt.InterventionEvent, Callable[[evt.Event], object]]]


class Peer(Protocol):
    """An application entity of somebody else, as the settings name it."""

    @property
    def host(self) -> str: ...  # noqa: D102 - as in the settings
    @property
    def port(self) -> int: ...  # noqa: D102
    @property
    def ae_title(self) -> str: ...  # noqa: D102
    @property
    def timeout_s(self) -> float: ...  # noqa: D102


def requestor(calling_ae_title: str, timeout_s: float) -> AE:
    """Give an application entity that waits no longer than this for anything."""
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    ae = AE(ae_title=calling_ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = timeout_s
    return ae


def unreachable(peer: Peer, found: Association) -> PacsUnreachable:
    """Say that there is no association."""
    return PacsUnreachable(f"no association with port {peer.port}" + (", rejected" if found.is_rejected else ""))


@contextmanager
def association(
    peer: Peer,
    calling_ae_title: str,
    sop_classes: Sequence[str],
    handlers: Handlers = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """Hold an association for some classes; one that accepts none of them is yielded too, and not established.

    Raises PacsUnreachable.
    """
    ae = requestor(calling_ae_title, peer.timeout_s)
    for sop_class in sop_classes:
        ae.add_requested_context(sop_class)
    found = ae.associate(peer.host, peer.port, ae_title=peer.ae_title, evt_handlers=list(handlers), ext_neg=list(roles))
    if not found.is_established and not found.rejected_contexts:
        raise unreachable(peer, found)
    try:
        yield found
    finally:
        if found.is_established:
            found.release()
