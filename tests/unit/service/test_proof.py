import time
from types import SimpleNamespace

import pytest
from dbos import DBOS

from lnc_dicom.errors import PacsUnreachable
from lnc_service import proof
from lnc_service.commitment.answers import expect, keep_answer
from lnc_service.commitment.ask import Asked
from lnc_service.engine import Parts, equip, proof_name
from lnc_service.proof import SENT_AGAIN, enqueue_proof
from lnc_service.settings import Settings
from lnc_service.spool import Spool
from tests.unit.service.commitment.test_answers import _report

REFERENCES = {
    f"{n}.dcm": {"sop_class": "1.2", "sop_instance": f"1.1.{n}", "series": "1.3", "study": "1.4"} for n in range(2)
}
UIDS = [r["sop_instance"] for r in REFERENCES.values()]


@pytest.fixture
def prove(engine, monkeypatch):
    """Prove a delivery to its end.

    `asked` are results of asking, `kept` what each answer commits (None: no answer), `shown` what each look shows; the
    last again and again.
    """

    def run(asked=(Asked.TAKEN,), kept=(), shown=(), **pacs):
        seen = SimpleNamespace(sent=[], asks=0)
        asked, kept, shown = list(asked), list(kept), list(shown)
        spool = Spool(engine)
        spool.prepare()

        def ask(references, pacs, title, transaction, spool):
            seen.asks += 1
            result = asked.pop(0) if len(asked) > 1 else asked[0]
            if isinstance(result, Exception):
                raise result
            committed = kept.pop(0) if len(kept) > 1 else kept[0]
            if committed is not None:
                expect(spool, transaction)
                keep_answer(spool, _report(transaction, committed, [u for u in UIDS if u not in committed]))
            return result

        def find(pacs, title, study, series):
            result = shown.pop(0) if len(shown) > 1 else shown[0]
            if isinstance(result, Exception):
                raise result
            return {"1.3": set(result)}

        monkeypatch.setattr(proof, "ask_for_commitment", ask)
        monkeypatch.setattr(proof, "find_images", find)
        monkeypatch.setattr(proof, "deliver", lambda files, *_: seen.sent.append([f.name for f in files]))
        settings = Settings(
            spool=engine,
            pacs={"host": "x", "ae_title": "PACS", **pacs},
            retry={"first_wait_s": 0.05, "longest_wait_s": 0.05},
        )
        equip(Parts(settings, spool, None))
        job = f"a-{time.monotonic_ns()}"
        enqueue_proof(job, "PACS", REFERENCES)
        outcome = DBOS.retrieve_workflow(proof_name(job, "PACS")).get_result()
        return outcome, seen

    return run


def test_what_is_committed_at_once_is_proved_and_sent_no_more(prove):
    outcome, seen = prove(kept=[UIDS], commitment=True)
    assert (outcome["state"], outcome["committed"], outcome["seen"]) == ("DONE", sorted(REFERENCES), None)
    assert (seen.sent, seen.asks) == ([], 1)


def test_what_is_not_committed_is_sent_again_and_asked_for_again_alone(prove):
    outcome, seen = prove(kept=[UIDS[:1], UIDS], commitment=True)
    assert (outcome["state"], seen.sent, seen.asks) == ("DONE", [["1.dcm"]], 2)


def test_what_is_never_committed_fails_with_its_code_after_a_few_times(prove):
    outcome, seen = prove(kept=[UIDS[:1]], commitment=True)
    assert (outcome["state"], outcome["code"], outcome["committed"]) == ("FAILED", "LNC-530", ["0.dcm"])
    assert "1 of 2" in outcome["what"]
    assert len(seen.sent) == SENT_AGAIN


def test_a_destination_that_cannot_be_asked_now_is_asked_again(prove):
    asked = [PacsUnreachable("no association"), Asked.REFUSED, Asked.TAKEN]
    outcome, seen = prove(asked=asked, kept=[None, UIDS], commitment=True)
    assert (outcome["state"], seen.sent, seen.asks) == ("DONE", [], 3)


def test_no_answer_within_the_time_fails_without_sending_again(prove):
    outcome, seen = prove(kept=[None], commitment=True, proof_within_h=0.3 / 3600)
    assert (outcome["state"], outcome["code"], seen.sent) == ("FAILED", "LNC-530", [])
    assert "has not answered" in outcome["what"]


def test_a_destination_that_offers_no_commitment_says_so_at_once(prove):
    outcome, _ = prove(asked=[Asked.NOT_OFFERED], kept=[None], commitment=True)
    assert (outcome["state"], outcome["code"]) == ("FAILED", "LNC-531")


def test_what_is_shown_late_is_waited_for(prove):
    outcome, seen = prove(shown=[PacsUnreachable("x"), [], UIDS], read_back=True)
    assert (outcome["state"], outcome["committed"], outcome["seen"]) == ("DONE", None, sorted(REFERENCES))
    assert seen.sent == []


def test_what_is_not_shown_is_sent_again_and_fails_in_the_end(prove):
    outcome, seen = prove(shown=[UIDS[:1]], read_back=True, proof_within_h=1.5 / 3600)
    assert (outcome["state"], outcome["code"], outcome["seen"]) == ("FAILED", "LNC-532", ["0.dcm"])
    assert seen.sent == [["1.dcm"]] * SENT_AGAIN


def test_a_destination_that_left_the_settings_says_so(engine):
    equip(Parts(Settings(spool=engine, pacs={"host": "x", "ae_title": "PACS"}), Spool(engine), None))
    enqueue_proof("b-1", "GONE", REFERENCES)
    assert DBOS.retrieve_workflow(proof_name("b-1", "GONE")).get_result()["code"] == "LNC-203"
