"""Storage SCP → spool. A process of its own, without torch: Success is answered when the bytes are on disk.

Every storage SOP class is accepted, so that a study without MR is answered with a reason instead of silence; private
ones too, because senders exist that stop at the first refusal, but no job looks at them. Transfer syntaxes that are
decoded come first, so that a sender who can choose sends one of them; lossy ones are received too and then refused by
name, in `lnc jobs`.
"""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless
from pynetdicom import AE, AllStoragePresentationContexts, _config, build_context, evt
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from lnc_dicom.errors import LncError, UnusableInput
from lnc_dicom.study.transfer_syntaxes import TRANSFER_SYNTAXES
from lnc_service.arriving import Arriving
from lnc_service.logs import log, start_logging
from lnc_service.parent import sigterm_with_parent, when_parent_is_gone
from lnc_service.receiver.association_guard import MAXIMUM_PDU_BYTES, REQUEST_S, Connections, GuardedServer
from lnc_service.receiver.disk import Watermark
from lnc_service.receiver.notices import NOTICE_SYNTAXES, NOTICES, PROCESSING_FAILURE, Notice, hear
from lnc_service.receiver.storage_scp import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, Incoming, StorageReactor
from lnc_service.receiver.study_uid import study_uid_of
from lnc_service.receiver.tls import tls_context
from lnc_service.settings import Listen, load_settings
from lnc_service.spool import Spool

REFUSED_LATER = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000)
"""Received so that nothing is lost, and refused by name when the study is looked at."""

CANNOT_START = 2
"""Exit status where starting again would give the same."""

_STANDARD_ROOT = "1.2.840.10008."
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
_STORAGE_CLASSES = frozenset(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
_CALLING_TITLE_UNKNOWN, _CALLED_TITLE_UNKNOWN = (1, 1, 3), (1, 1, 7)
_CONGESTION, _LIMIT_EXCEEDED = (2, 3, 1), (2, 3, 2)
"""Result, source and reason of A-ASSOCIATE-RJ (PS3.8 9.3.4); a result of 2 means that the sender may try again."""
_SHUTDOWN_S = 3.0
_MB = 1 << 20


class CannotListen(UnusableInput):
    """The receiver cannot listen on its address and port."""

    code = "LNC-006"
    do = "End the program that holds the port, or set `listen.host` and `listen.port` to what is free."


@dataclass(frozen=True, slots=True)
class SpoolKeeper:
    """Keeps objects in the spool, as long as its disk has room."""

    spool: Spool
    watermark: Watermark
    largest_bytes: int

    def begin(self) -> Arriving:
        """Start an object. Raises OSError."""
        self._need_room()
        return self.spool.begin()

    def check(self, incoming: Incoming) -> None:
        """Refuse to let an object outgrow the limit or the disk. Raises OSError."""
        if incoming.arriving.size > self.largest_bytes:
            log.warning("object too large", extra={"status": f"{OUT_OF_RESOURCES:04X}"})
            raise OSError
        self._need_room()

    def keep(self, incoming: Incoming) -> int:
        """Answer success only when the object is on disk and synced."""
        try:
            if _is_private(incoming.sop_class):
                self.spool.keep_unused(incoming.arriving)
                return SUCCESS
            uid = study_uid_of(incoming.arriving.descriptor, incoming.data_begins, incoming.transfer_syntax)
            if uid is None:
                log.warning("refused", extra={"status": f"{CANNOT_UNDERSTAND:04X}"})
                return CANNOT_UNDERSTAND
            self.spool.keep_arrived(incoming.arriving, uid)
        except OSError:
            log.exception("not kept", extra={"status": f"{OUT_OF_RESOURCES:04X}"})
            return OUT_OF_RESOURCES  # the sender will try again
        return SUCCESS

    def hear(self, notice: Notice) -> int:
        """Take notice of a storage commitment, as long as there is room."""
        try:
            self._need_room()
            return hear(self.spool, notice)
        except OSError:
            log.exception("not kept", extra={"status": f"{PROCESSING_FAILURE:04X}"})
            return PROCESSING_FAILURE

    def _need_room(self) -> None:
        if not self.watermark.has_room_for_an_object():
            log.warning("disk nearly full", extra={"status": f"{OUT_OF_RESOURCES:04X}"})
            raise OSError


def contexts_for(requested: Iterable[PresentationContext]) -> list[PresentationContext]:
    """Give the contexts that are accepted of those requested: Verification, notices, and whatever may be storage.

    pynetdicom's unrestricted storage would take the sender's first transfer syntax instead of the first of our list,
    and services such as query for storage.
    """
    contexts = [build_context(Verification)]
    for context in requested:
        uid = str(context.abstract_syntax)
        if uid in NOTICES:
            contexts.append(_notice_context(uid))
        elif uid in _STORAGE_CLASSES or uid.startswith(_STORAGE_ROOT):
            contexts.append(build_context(uid, [*TRANSFER_SYNTAXES, *REFUSED_LATER]))
        elif _is_private(uid):
            contexts.append(build_context(uid, [*TRANSFER_SYNTAXES, *REFUSED_LATER, *context.transfer_syntax]))
    return contexts


def _notice_context(uid: str) -> PresentationContext:
    """Accept notices of a class; of storage commitment, the one who reports is the provider of the service."""
    context = build_context(uid, list(NOTICE_SYNTAXES))
    if uid == StorageCommitmentPushModel:
        context.scu_role, context.scp_role = False, True
    return context


def _is_private(sop_class: str) -> bool:
    return not sop_class.startswith(_STANDARD_ROOT)


@dataclass(frozen=True, slots=True)
class _Door:
    """Who is let in."""

    listen: Listen
    connections: Connections
    watermark: Watermark

    def on_requested(self, event: evt.Event) -> None:
        """Reject an association, or say what it may send."""
        refusal = self._refusal(event)
        assoc = event.assoc
        if refusal is None:
            assoc.acceptor.supported_contexts = contexts_for(
                assoc.requestor.primitive.presentation_context_definition_list
            )
            return
        why, answer = refusal
        log.warning(why, extra={"peer": assoc.requestor.address})
        assoc.acse.send_reject(*answer)
        assoc.kill()

    def _refusal(self, event: evt.Event) -> tuple[str, tuple[int, int, int]] | None:
        """Say why an association is refused; None if it is not."""
        request, listen = event.assoc.requestor.primitive, self.listen
        if request.called_ae_title.strip() not in {listen.ae_title.strip(), *(t.strip() for t in listen.also_called)}:
            return "called title refused", _CALLED_TITLE_UNKNOWN
        if listen.calling and request.calling_ae_title.strip() not in {t.strip() for t in listen.calling}:
            return "calling title refused", _CALLING_TITLE_UNKNOWN
        if not self.watermark.has_room_for_an_association():
            return "disk nearly full", _CONGESTION
        if not self.connections.admit(event.assoc.dul.socket.connection):
            return "too many associations", _LIMIT_EXCEEDED
        return None


def _on_accepted(event: evt.Event) -> None:
    log.info("association", extra={"peer": event.assoc.requestor.address})


class Receiver:
    """The listening SCP."""

    def __init__(self, listen: Listen, spool: Spool) -> None:
        """Listen, and serve in the background. Raises CannotListen, BadSettings."""
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        _config.LOG_HANDLER_LEVEL = "none"
        ae = AE(ae_title=listen.ae_title)
        ae.maximum_pdu_size = MAXIMUM_PDU_BYTES
        ae.maximum_associations = sys.maxsize  # the door counts them: pynetdicom counts connections
        ae.acse_timeout = REQUEST_S
        watermark = Watermark(spool.root, listen.free_disk_mb * _MB)
        keeper = SpoolKeeper(spool, watermark, listen.largest_object_mb * _MB)
        self._connections = Connections(listen.addresses, listen.associations, listen.associations_per_address)
        stat_titles = frozenset(title.strip() for title in listen.stat)
        door = _Door(listen, self._connections, watermark)
        try:
            self._server = ae.make_server(
                (listen.host, listen.port),
                contexts=[build_context(Verification)],
                ssl_context=tls_context(listen),
                evt_handlers=[(evt.EVT_REQUESTED, door.on_requested), (evt.EVT_ACCEPTED, _on_accepted)],
                server_class=GuardedServer,
                connections=self._connections,
                make_reactor=functools.partial(StorageReactor, keeper=keeper, stat_titles=stat_titles),
            )
        except OSError as error:
            raise CannotListen(f"port {listen.port} of {listen.host}: {os.strerror(error.errno or 0)}") from error
        ae._servers.append(self._server)  # noqa: SLF001 - as start_server does; its shutdown removes it from there
        threading.Thread(target=self._server.serve_forever, name="listener", daemon=True).start()
        log.info("listening", extra={"port": listen.port, "pid": os.getpid()})

    def shutdown(self) -> None:
        """Stop listening, abort the associations, and wait a little for what is being written."""
        self._server.shutdown()
        established = [a for a in self._server.active_associations if a.is_established]
        for association in established:
            association.abort(block=False)
        end = time.monotonic() + _SHUTDOWN_S
        for association in established:
            association.join(max(end - time.monotonic(), 0))
        self._connections.end_all()


def main() -> None:
    """Run the receiver until it is told to stop, or until the service that started it has gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    parser.add_argument("--parent", type=int, help="Process without which the receiver ends.")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sigterm_with_parent()
    parent = os.getppid() if arguments.parent is None else arguments.parent
    if os.getppid() != parent:
        raise SystemExit(0)
    when_parent_is_gone(parent, stop.set)
    os.umask(0o077)
    start_logging()
    try:
        settings = load_settings(arguments.config)
        spool = Spool(settings.spool)
        spool.prepare()
        spool.recover()
        receiver = Receiver(settings.listen, spool)
    except LncError as error:
        log.critical(str(error), extra={"code": error.code})
        raise SystemExit(CANNOT_START) from None
    stop.wait()
    receiver.shutdown()


if __name__ == "__main__":
    main()
