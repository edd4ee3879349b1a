import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from dbos import DBOS

from lnc_dicom.errors import PacsUnreachable
from lnc_service import workflow
from lnc_service.child import ChildEndedError
from lnc_service.deliver import Answers, Fate
from lnc_service.engine import DELIVERY, Parts, delivery_name, equip
from lnc_service.manifest import Closed, Manifest, ReceivedObject
from lnc_service.settings import Settings
from lnc_service.spool import Spool
from lnc_service.workflow import enqueue, forget_rows, is_active, order_of

FILES = ["segmentation.dcm", "measurements.dcm"]
DONE = {"state": "DONE", "code": "", "what": "", "do": "", "files": FILES}
SPOOL_FULL = {"state": "WAITING", "code": "LNC-204", "what": "", "do": "", "files": []}


class _Computer:
    """Gives what a test has prepared, the last again and again."""

    def __init__(self, *outcomes):
        self.outcomes, self.calls = list(outcomes), 0

    def compute(self, key, job):
        self.calls += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class _Pacs:
    """Destinations by name; each answers as a test has prepared, the last again and again."""

    def __init__(self, **answers):
        self.answers, self.sent = answers, []

    def __call__(self, files, pacs, calling):
        self.sent.append((pacs.ae_title, [Path(f).name for f in files]))
        prepared = self.answers[pacs.ae_title]
        answer = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        if isinstance(answer, Exception):
            raise answer
        fates = {Path(f).name: answer.get(Path(f).name, Fate.STORED) for f in files}
        reasons = {name: "status A900" for name, fate in fates.items() if fate is not Fate.STORED}
        stored = {name: {"sop_instance": name} for name, fate in fates.items() if fate is Fate.STORED}
        return Answers(fates, reasons, answer.get("instead", {}), stored)


@pytest.fixture
def job():
    return f"a-{time.monotonic_ns()}"


@pytest.fixture
def run(engine, job, monkeypatch):
    """Run a job to its end in a real engine; gives its outcome and those of its deliveries."""

    def start(computer, pacs, titles=("PACS",), expected=(), **retry):
        first, *others = ({"host": "x", "ae_title": title} for title in titles)
        retry = {"first_wait_s": 0.05, "longest_wait_s": 0.05, **retry}
        settings = Settings(spool=engine, pacs=first, others=others, retry=retry)
        monkeypatch.setattr(workflow, "deliver", pacs)
        equip(Parts(settings, Spool(engine), computer))
        enqueue(_manifest(job))
        outcome = DBOS.retrieve_workflow(job).get_result()
        names = [delivery_name(job, title) for title in expected or titles] if outcome["state"] == "DONE" else []
        return outcome, [DBOS.retrieve_workflow(name).get_result() for name in names]

    return start


def _manifest(job, made=0.0, *, stat=False):
    image = ReceivedObject("d", 0, "1", "1", "i", "p", ours=False, stat=stat)
    return Manifest("a", job, "", Closed.QUIET, made, (image,), ("d",), 0, "", ())


def test_every_destination_gets_the_files_and_says_so(run):
    outcome, deliveries = run(_Computer(DONE), _Pacs(A=[{}], B=[{}]), ("A", "B"))
    assert outcome["state"] == "DONE"
    assert [(d["destination"], d["state"], d["stored"]) for d in deliveries] == [
        ("A", "DONE", FILES),
        ("B", "DONE", FILES),
    ]


def test_a_refused_object_is_not_sent_again_and_one_that_waits_is(run):
    pacs = _Pacs(PACS=[{FILES[0]: Fate.REFUSED, FILES[1]: Fate.WAITING}, {}])
    _, (delivery,) = run(_Computer(DONE), pacs)
    assert pacs.sent == [("PACS", FILES), ("PACS", FILES[1:])]
    assert (delivery["state"], delivery["code"]) == ("FAILED", "LNC-202")
    assert (delivery["stored"], delivery["refused"]) == (FILES[1:], {FILES[0]: "status A900"})


def test_what_was_stored_in_another_class_is_said_also_after_another_attempt(run):
    pacs = _Pacs(PACS=[{FILES[1]: Fate.WAITING, "instead": {FILES[0]: "Some Storage"}}, {}])
    _, (delivery,) = run(_Computer(DONE), pacs)
    assert (delivery["state"], delivery["instead"]) == ("DONE", {FILES[0]: "Some Storage"})


def test_an_object_that_a_destination_can_never_store_ends_after_the_attempts(run):
    pacs = _Pacs(PACS=[{FILES[0]: Fate.WAITING}])
    _, (delivery,) = run(_Computer(DONE), pacs, attempts=3)
    assert len(pacs.sent) == 3
    assert (delivery["state"], delivery["waiting"]) == ("FAILED", FILES[:1])


def test_silence_is_outlasted_beyond_the_attempts_and_ends_after_the_time_that_was_set(run):
    silent = PacsUnreachable("no association")
    pacs = _Pacs(PACS=[*[silent] * 6, {}])
    _, (delivery,) = run(_Computer(DONE), pacs, attempts=2)
    assert delivery["state"] == "DONE"
    assert len(pacs.sent) == 7


@pytest.mark.slow
def test_a_destination_that_stays_silent_is_given_up(run):
    _, (delivery,) = run(_Computer(DONE), _Pacs(PACS=[PacsUnreachable("no association")]), give_up_after_h=0.5 / 3600)
    assert (delivery["state"], delivery["code"], delivery["waiting"]) == ("FAILED", "LNC-201", FILES)


def test_a_full_spool_is_waited_for_and_is_no_crash(run):
    computer = _Computer(*[SPOOL_FULL] * 5, DONE)
    outcome, _ = run(computer, _Pacs(PACS=[{}]))
    assert outcome["state"] == "DONE"
    assert computer.calls == 6


def test_a_study_whose_process_ends_is_computed_three_times_then_failed_and_delivered_to_nobody(run):
    computer, pacs = _Computer(ChildEndedError("signal 6")), _Pacs(PACS=[{}])
    outcome, deliveries = run(computer, pacs)
    assert (outcome["state"], outcome["code"], computer.calls) == ("FAILED", "LNC-302", 3)
    assert "signal 6" in outcome["what"]
    assert (deliveries, pacs.sent) == ([], [])


def test_a_defect_of_ours_fails_the_job_without_its_message(run):
    outcome, _ = run(_Computer(RuntimeError("CANARY")), _Pacs(PACS=[{}]))
    assert (outcome["state"], outcome["code"]) == ("FAILED", "LNC-300")
    assert "CANARY" not in str(outcome)


def test_a_delivery_whose_destination_left_the_settings_says_so(run, monkeypatch):
    monkeypatch.setattr(workflow, "destinations", lambda key, job, files, **_: {"GONE": files})
    _, (delivery,) = run(_Computer(DONE), _Pacs(PACS=[{}]), expected=("GONE",))
    assert (delivery["state"], delivery["code"], delivery["waiting"]) == ("FAILED", "LNC-203", FILES)


def test_the_same_job_is_never_computed_twice(run, job):
    computer = _Computer(DONE)
    run(computer, _Pacs(PACS=[{}]))
    enqueue(_manifest(job))
    time.sleep(1.5)
    assert computer.calls == 1
    assert not is_active(job)
    assert len([s for s in DBOS.list_workflows(name=DELIVERY) if s.workflow_id.startswith(job)]) == 1


def test_what_is_forgotten_leaves_no_row_and_takes_nothing_else(run, job, engine):
    run(_Computer(DONE), _Pacs(A=[{}], B=[{}]), ("A", "B"))
    enqueue(_manifest(f"{job}-other"))
    DBOS.retrieve_workflow(f"{job}-other").get_result()
    forget_rows([job], [delivery_name(job, "A"), delivery_name(job, "B")])
    left = {status.workflow_id for status in DBOS.list_workflows() if status.workflow_id.startswith(job)}
    assert job not in left
    assert f"{job}-other" in left
    with closing(sqlite3.connect(engine / "workflows.sqlite")) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            if "workflow_uuid" in columns:
                rows = database.execute(f"SELECT workflow_uuid FROM {table}").fetchall()  # noqa: S608
                assert not {row[0] for row in rows} & {job, delivery_name(job, "A"), delivery_name(job, "B")}, table


def test_the_order_of_arrival_is_finer_than_a_second_and_fits_the_engine_for_ever():
    now = 1_795_575_693.0
    assert order_of(now) < order_of(now + 0.3) < order_of(now + 1)
    for years in (-60, 0, 6, 10, 100):
        then = now + years * 365 * 86400
        assert 1 <= order_of(then, stat=True) < order_of(then) < 2**31


def test_stat_comes_before_routine_whenever_it_arrives_and_in_its_own_order():
    now = 1_795_575_693.0
    in_order = [(now + 60, True), (now + 61, True), (now - 86400, False), (now, False)]
    places = [order_of(made, stat=stat) for made, stat in in_order]
    assert places == sorted(places)


@pytest.mark.slow
def test_a_stat_study_is_measured_before_routine_studies_that_wait(engine, job, monkeypatch):
    computed, may_end = [], threading.Event()

    class Busy:
        def compute(self, key, name):
            computed.append(name)
            may_end.wait(20)
            return {**DONE, "state": "REJECTED"}

    settings = Settings(spool=engine, pacs={"host": "x", "ae_title": "PACS"})
    equip(Parts(settings, Spool(engine), Busy()))
    names = [f"{job}-{n}" for n in ("first", "second", "stat")]
    for n, name in enumerate(names):
        enqueue(_manifest(name, 1_795_575_693.0 + n, stat=n == 2))
        while not computed:
            time.sleep(0.05)
    may_end.set()
    for name in names:
        DBOS.retrieve_workflow(name).get_result()
    assert computed == [names[0], names[2], names[1]]


def test_a_delivery_that_is_to_be_proved_is_proved_by_what_was_stored(run, job, monkeypatch):
    proved = []
    monkeypatch.setattr(workflow, "enqueue_proof", lambda *of: proved.append(of))
    monkeypatch.setattr(workflow, "is_proved", lambda destination: destination == "B")
    run(_Computer(DONE), _Pacs(A=[{}], B=[{FILES[0]: Fate.REFUSED}]), ("A", "B"))
    assert proved == [(job, "B", {FILES[1]: {"sop_instance": FILES[1]}})]
