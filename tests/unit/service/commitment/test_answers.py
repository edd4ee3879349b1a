import pytest
from pydicom import Dataset

from lnc_service.commitment.answers import CommitmentAnswer, answer_to, expect, forget_transaction, keep_answer
from lnc_service.spool import Spool


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path)
    spool.prepare()
    return spool


def _report(transaction="1.2.3", committed=(), failed=()):
    report = Dataset()
    report.TransactionUID = transaction
    for name, uids in (("ReferencedSOPSequence", committed), ("FailedSOPSequence", failed)):
        items = []
        for uid in uids:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2", uid
            if name == "FailedSOPSequence":
                item.FailureReason = 0x0112
            items.append(item)
        if items:
            setattr(report, name, items)
    return report


def test_an_answer_says_what_is_kept_and_what_is_not_and_why(spool):
    expect(spool, "1.2.3")
    assert answer_to(spool, "1.2.3") is None
    assert keep_answer(spool, _report(committed=["1.1", "1.2"], failed=["1.3"]))
    assert answer_to(spool, "1.2.3") == CommitmentAnswer(("1.1", "1.2"), {"1.3": 0x0112})


@pytest.mark.parametrize("report", [_report("9.9.9", ["1.1"]), Dataset()])
def test_an_answer_that_nobody_asked_for_is_not_kept(spool, report):
    expect(spool, "1.2.3")
    assert not keep_answer(spool, report)
    assert [path.suffix for path in spool.commitments.iterdir()] == [".asked"]


def test_what_is_forgotten_leaves_nothing_and_a_late_answer_is_not_kept(spool):
    expect(spool, "1.2.3")
    forget_transaction(spool, "1.2.3")
    assert not keep_answer(spool, _report(committed=["1.1"]))
    assert not list(spool.commitments.iterdir())
