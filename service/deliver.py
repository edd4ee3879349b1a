"""Results → PACS by C-STORE. The same files with the same UIDs, as often as needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydicom
from lnc_service.settings import Pacs
from pydicom import FileDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, _config

from lnc_dicom.errors import PacsRefused, PacsUnreachable

_STORED = (0x0000, 0xB000, 0xB006, 0xB007)
"""Success, and warnings after which the object is stored (PS3.4 B.2.3)."""


def deliver(files: Sequence[Path], pacs: Pacs, calling_ae_title: str) -> None:
    """Send files in order over one association.

    Raises PacsUnreachable where there is no association, PacsRefused where an object was not stored.
    """
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    datasets = [pydicom.dcmread(file) for file in files]
    ae = AE(ae_title=calling_ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = pacs.timeout_s
    for sop_class, syntax in dict.fromkeys((d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets):
        ae.add_requested_context(sop_class, syntax)
        if syntax.is_compressed:  # offered on its own: whoever cannot read it gets the same object decompressed
            ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = ae.associate(pacs.host, pacs.port, ae_title=pacs.ae_title)
    if not association.is_established:
        raise PacsUnreachable(
            f"no association with port {pacs.port}" + (", rejected" if association.is_rejected else "")
        )
    try:
        for dataset in datasets:
            _store(association, dataset)
    finally:
        association.release()


def _store(association: object, dataset: FileDataset) -> None:
    """Send one object, decompressed if its transfer syntax was not accepted."""
    name = dataset.SOPClassUID.name
    contexts = association.accepted_contexts  # type: ignore[attr-defined]
    accepted = [c.transfer_syntax[0] for c in contexts if c.abstract_syntax == dataset.SOPClassUID]
    if ExplicitVRLittleEndian in accepted and dataset.file_meta.TransferSyntaxUID not in accepted:
        dataset.decompress(generate_instance_uid=False)
    try:
        answer = association.send_c_store(dataset)  # type: ignore[attr-defined]
    except ValueError as error:  # no accepted presentation context
        raise PacsRefused(f"{name}: SOP class not accepted") from error
    if "Status" not in answer:
        raise PacsUnreachable(f"{name}: no answer")
    if answer.Status not in _STORED:
        raise PacsRefused(f"{name}: status {answer.Status:04X}")
