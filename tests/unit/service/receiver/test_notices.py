import struct

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import StorageCommitmentPushModel

from lnc_service.commitment.answers import NOT_ASKED, answer_to, expect
from lnc_service.receiver.notices import (
    N_ACTION,
    N_EVENT_REPORT,
    NOT_PERFORMED,
    PROCESSING_FAILURE,
    SUCCESS,
    Notice,
    hear,
)
from lnc_service.spool import Spool
from tests.receiving import lets_in, receiving

COMMITMENT = str(StorageCommitmentPushModel)


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    return spool


def _report():
    item, report = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2", "1.1"
    report.TransactionUID, report.ReferencedSOPSequence = "1.2.3", [item]
    return report


def _notice(data, field=N_EVENT_REPORT, sop_class=COMMITMENT, syntax=ImplicitVRLittleEndian):
    encoded = data if isinstance(data, bytes) else encode(data, syntax == ImplicitVRLittleEndian, is_little_endian=True)
    return Notice(field, sop_class, "1.2.840.10008.1.20.1.1", encoded, syntax)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_commitment_is_kept(spool, syntax):
    expect(spool, "1.2.3")
    assert hear(spool, _notice(_report(), syntax=syntax)) == SUCCESS
    assert answer_to(spool, "1.2.3").committed == ("1.1",)


def test_a_commitment_that_nobody_asked_for_is_refused(spool):
    assert hear(spool, _notice(_report())) == NOT_ASKED


def test_a_request_that_we_commit_ourselves_is_refused_without_an_abort(tmp_path):
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context(StorageCommitmentPushModel)
    with receiving(tmp_path) as (port, _):
        association = ae.associate("127.0.0.1", port, ae_title="LNC")
        status, _ = association.send_n_action(_report(), 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
        assert status.Status == NOT_PERFORMED
        association.release()
        assert association.is_released


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 50,
        struct.pack("<HHI", 0x0008, 0x1199, 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\0\0\0\0" * 30_000,
        b"\x08\x00\x99\x11",
    ],
    ids=["noise", "items without end", "torn"],
)
def test_what_cannot_be_decoded_or_would_eat_memory_is_answered_with_a_failure(spool, data):
    expect(spool, "1.2.3")
    assert hear(spool, _notice(data)) in {PROCESSING_FAILURE, NOT_ASKED}
    assert hear(spool, _notice(data, N_ACTION)) == NOT_PERFORMED


def test_a_notice_without_end_breaks_its_association_and_not_the_receiver(tmp_path):
    report = Dataset()
    report.TransactionUID = "1.2.3"
    report.add_new(0x00091010, "LO", "x")
    report.add_new(0x00091011, "UN", bytes(3 << 20))
    ae = AE(ae_title="ARCHIVE")
    ae.add_requested_context(StorageCommitmentPushModel)
    ae.dimse_timeout = 5
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    with receiving(tmp_path) as (port, _):
        association = ae.associate("127.0.0.1", port, ae_title="LNC", ext_neg=[role])
        status, _ = association.send_n_event_report(report, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
        assert "Status" not in status
        assert lets_in(port, 5) is not None
