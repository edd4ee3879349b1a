import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import MRImageStorage, StorageCommitmentPushModel

from lnc_dicom.errors import PacsUnreachable
from lnc_service.commitment import ask
from lnc_service.commitment.answers import answer_to
from lnc_service.commitment.ask import Asked, ask_for_commitment
from lnc_service.demo.main import free_port
from lnc_service.settings import Pacs
from tests.archive import Archive
from tests.receiving import receiving

REFERENCES = [
    {"sop_class": MRImageStorage, "sop_instance": uid, "series": "1.2", "study": "1.3"} for uid in ("1.1", "1.2")
]


@pytest.mark.parametrize("same", [True, False], ids=["same association", "new association"])
def test_the_answer_is_kept_whichever_association_brings_it(tmp_path, same):
    with (
        receiving(tmp_path) as (port, spool),
        Archive(same_association=same, keeps=lambda uid: uid == "1.1") as archive,
    ):
        archive.service_port = port
        assert ask_for_commitment(REFERENCES, archive.pacs(), "LNC", "1.2.3", spool) is Asked.TAKEN
        answer = answer_to(spool, "1.2.3")
        assert archive.reported.wait(5)
    assert (answer.committed, answer.failed) == (("1.1",), {"1.2": 0x0112})
    assert archive.report_statuses == [0]


def test_an_answer_that_comes_later_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(ask, "ANSWER_ON_THIS_ASSOCIATION_S", 0.2)
    with receiving(tmp_path) as (_, spool), Archive(answers=lambda: False) as archive:
        assert ask_for_commitment(REFERENCES, archive.pacs(), "LNC", "1.2.3", spool) is Asked.TAKEN
        assert answer_to(spool, "1.2.3") is None


def _peer(sop_class, **handlers):
    ae = AE(ae_title="P")
    ae.add_supported_context(sop_class)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers.items()))
    return ae, Pacs(host="127.0.0.1", port=server.server_address[1], ae_title="P", timeout_s=2)


def test_a_destination_without_commitment_says_so(tmp_path):
    with receiving(tmp_path) as (_, spool):
        ae, pacs = _peer(MRImageStorage)
        assert ask_for_commitment(REFERENCES, pacs, "LNC", "1.2.3", spool) is Asked.NOT_OFFERED
        ae.shutdown()


def test_a_request_that_fails_may_be_repeated(tmp_path):
    with receiving(tmp_path) as (_, spool):
        ae = AE(ae_title="P")
        ae.add_supported_context(StorageCommitmentPushModel)
        handlers = [(evt.EVT_N_ACTION, lambda event: (0x0110, None))]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        pacs = Pacs(host="127.0.0.1", port=server.server_address[1], ae_title="P", timeout_s=2)
        assert ask_for_commitment(REFERENCES, pacs, "LNC", "1.2.3", spool) is Asked.REFUSED
        ae.shutdown()


def test_nobody_there_is_unreachable(tmp_path):
    pacs = Pacs(host="127.0.0.1", port=free_port(), ae_title="P", timeout_s=2)
    with receiving(tmp_path) as (_, spool), pytest.raises(PacsUnreachable):
        ask_for_commitment(REFERENCES, pacs, "LNC", "1.2.3", spool)
