"""Storage SCP → spool. A process of its own, without torch: Success is answered when the bytes are on disk.

Every storage SOP class is accepted, so that a study without MR is answered with a reason instead of silence.
Transfer syntaxes that are decoded come first, so that a sender who can choose sends one of them; lossy ones are
received too and then refused by name, in `lnc jobs`.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import threading
from pathlib import Path

import pydicom
from lnc_service.logs import log, start_logging
from lnc_service.settings import Listen, load_settings
from lnc_service.spool import Spool
from pydicom.errors import InvalidDicomError
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.sop_class import Verification

from lnc_dicom.study.transfer_syntaxes import TRANSFER_SYNTAXES

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000

MAXIMUM_PDU_BYTES = 131072
"""DCMTK's upper limit; larger PDUs cost less CPU per object."""
MAXIMUM_ASSOCIATIONS = 20

REFUSED_LATER = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000)
"""Received so that nothing is lost, and refused by name when the study is looked at."""


def on_store(event: evt.Event, spool: Spool) -> int:
    """Answer one C-STORE: success means the bytes are on disk, nothing less."""
    data = event.request.DataSet.getvalue()
    meta = event.file_meta
    whole = b"\0" * 128 + b"DICM" + encode_file_meta(meta) + data
    study_uid = _study_uid(whole)
    if study_uid is None:
        log.warning("refused", extra={"status": f"{CANNOT_UNDERSTAND:04X}"})
        return CANNOT_UNDERSTAND
    try:
        spool.keep(study_uid, whole)
    except OSError:
        log.exception("not kept", extra={"status": f"{OUT_OF_RESOURCES:04X}"})
        return OUT_OF_RESOURCES  # the sender will try again
    return SUCCESS


def _study_uid(data: bytes) -> str | None:
    """Study Instance UID of a Part 10 object; None if it has none."""
    try:
        header = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
    except (InvalidDicomError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError):
        return None
    return str(header.get("StudyInstanceUID") or "") or None


def _on_accepted(event: evt.Event) -> None:
    log.info("association", extra={"peer": event.assoc.requestor.address})


def start(listen: Listen, spool: Spool) -> AE:
    """Start listening in the background; `.shutdown()` ends it."""
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.LOG_HANDLER_LEVEL = "none"
    ae = AE(ae_title=listen.ae_title)
    ae.maximum_pdu_size = MAXIMUM_PDU_BYTES
    ae.maximum_associations = MAXIMUM_ASSOCIATIONS
    ae.require_called_aet = True
    ae.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, [*TRANSFER_SYNTAXES, *REFUSED_LATER])
    handlers = [(evt.EVT_C_STORE, on_store, [spool]), (evt.EVT_ACCEPTED, _on_accepted)]
    ae.start_server((listen.host, listen.port), block=False, evt_handlers=handlers)
    log.info("listening", extra={"port": listen.port, "pid": os.getpid()})
    return ae


def main() -> None:
    """Run the receiver until it is told to stop, or until the service that started it has gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    settings = load_settings(parser.parse_args().config)
    start_logging()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ae = start(settings.listen, Spool(settings.spool))
    parent = os.getppid()
    while not stop.wait(1.0) and os.getppid() == parent:
        pass
    ae.shutdown()


if __name__ == "__main__":
    main()
