from datetime import UTC, datetime
from types import SimpleNamespace

import pydicom
import pytest

from lnc_dicom.errors import UnusableInput
from lnc_service import jobs
from lnc_service.jobs import ask, find_job, list_jobs, retry
from lnc_service.manifest import Closed, Verdict, close_study, manifests_of
from lnc_service.settings import Settings
from lnc_service.spool import Asked, Spool
from lnc_service.states import JobState
from tests.factories import write_series

DONE = {"state": "DONE", "code": "", "what": "", "do": ""}


def _status(name, status="SUCCESS", output=None, args=("key", "job", 3)):
    return SimpleNamespace(
        workflow_id=name, status=status, output=output, input={"args": args}, updated_at=1_800_000_000_000, created_at=0
    )


def _delivery(job, title, state="DONE", stored=("a",), refused=(), waiting=()):
    output = {**DONE, "state": state, "code": "LNC-202" if refused else "", "what": "refused" if refused else ""}
    output |= {"stored": list(stored), "refused": dict.fromkeys(refused, "A900"), "waiting": list(waiting)}
    return _status(f"{job}>{title}", output=output)


class _Client:
    """A workflow database with what a test has put in."""

    def __init__(self, studies=(), deliveries=(), steps=(), proofs=()):
        self.found = {"study": list(studies), "delivery": list(deliveries), "proof": list(proofs)}
        self.steps, self.rewound = list(steps), []

    def list_workflows(self, name, **_):
        return self.found[name]

    def list_workflow_steps(self, name):
        return self.steps

    def rewind_workflow(self, name, **options):
        self.rewound.append((name, options["queue_name"], options.get("queue_partition_key")))

    def destroy(self):
        pass


@pytest.fixture
def settings(tmp_path):
    Spool(tmp_path).prepare()
    return Settings(spool=tmp_path, pacs={"host": "x", "ae_title": "PACS"})


@pytest.fixture
def database(monkeypatch):
    def use(*args, **kwargs):
        client = _Client(*args, **kwargs)
        monkeypatch.setattr(jobs, "_is_made", lambda url: True)
        monkeypatch.setattr(jobs, "DBOSClient", lambda **_: client)
        return client

    return use


def test_without_a_spool_and_without_a_database_there_is_nothing(tmp_path, settings):
    assert list_jobs(settings) == []
    assert list_jobs(Settings(spool=tmp_path / "none", pacs={"host": "x", "ae_title": "PACS"})) == []
    assert not (tmp_path / "workflows.sqlite").exists()


@pytest.mark.parametrize(
    ("status", "state"), [("ENQUEUED", "WAITING"), ("PENDING", "RUNNING"), ("DELAYED", "WAITING"), ("ERROR", "FAILED")]
)
def test_the_engine_s_states_become_ours(settings, database, status, state):
    database([_status("a-1", status)])
    (job,) = list_jobs(settings)
    assert (job.state, job.objects) == (state, 3)
    assert bool(job.do) == (state == "FAILED")


def test_a_job_says_since_when_it_is_in_its_state(settings, database):
    database([_status("a-1", output=DONE)])
    assert list_jobs(settings)[0].since == datetime(2027, 1, 15, 8, tzinfo=UTC)


def test_a_job_is_done_when_every_destination_has_everything(settings, database):
    database([_status("a-1", output=DONE)], [_delivery("a-1", "A"), _delivery("a-1", "B")])
    assert list_jobs(settings)[0].state is JobState.DONE


def test_a_job_that_one_destination_refuses_has_failed_and_says_what_each_has(settings, database):
    database([_status("a-1", output=DONE)], [_delivery("a-1", "B", "FAILED", refused=("b",)), _delivery("a-1", "A")])
    (job,) = list_jobs(settings)
    assert (job.state, job.code) == (JobState.FAILED, "LNC-202")
    assert [(d.destination, d.stored, d.refused, d.waiting) for d in job.deliveries] == [("A", 1, 0, 0), ("B", 1, 1, 0)]


def test_a_delivery_under_way_says_what_has_been_stored_so_far(settings, database):
    steps = [{"function_name": "send", "output": {"fates": {"a": "stored", "b": "waiting"}}}]
    steps += [{"function_name": "sleep", "output": 5.0}, {"function_name": "send", "output": None}]
    running = _status("a-1>A", "PENDING", args=("a-1", "A", ["a", "b", "c"]))
    database([_status("a-1", output=DONE)], [running], steps)
    (job,) = list_jobs(settings)
    assert job.state is JobState.DELIVERING
    assert (job.deliveries[0].stored, job.deliveries[0].waiting) == (1, 2)


def test_only_what_failed_is_run_again(settings, database):
    client = database(
        [_status("a-1", output=DONE)], [_delivery("a-1", "A"), _delivery("a-1", "B", "FAILED", refused=("b",))]
    )
    assert retry(settings, "a-1") == ["a-1 to B"]
    assert client.rewound == [("a-1>B", "deliveries", "B")]


@pytest.mark.parametrize("state", ["FAILED", "REJECTED"])
def test_a_study_that_failed_is_computed_again_under_its_name(settings, database, state):
    client = database([_status("a-1", output={**DONE, "state": state})])
    assert retry(settings, "a-") == ["a-1"]
    assert client.rewound == [("a-1", "studies", None)]


def test_a_study_that_no_rule_wanted_is_held_against_the_rules_of_today_when_it_is_run_again(tmp_path, database):
    (tmp_path / "site.toml").write_text('[[rule]]\nname = "today"\n')
    settings = Settings(spool=tmp_path, rules=tmp_path / "site.toml", pacs={"host": "x", "ae_title": "PACS"})
    spool = Spool(tmp_path)
    spool.prepare()
    key = spool.keep("1.2.3", write_series(tmp_path / "s")[0].read_bytes()).parent.name
    job = close_study(spool, key, Closed.QUIET, "now", Verdict("")).job
    database([_status(job, output={**DONE, "state": "REJECTED", "code": "LNC-542"})])
    assert retry(settings, job) == [job]
    assert manifests_of(spool, key)[0].applied.name == "today"


@pytest.mark.parametrize("status", [_status("a-1", output=DONE), _status("a-1", "PENDING"), _status("a-1", "ENQUEUED")])
def test_a_job_that_did_not_fail_is_not_run_again(settings, database, status):
    client = database([status])
    with pytest.raises(UnusableInput, match="only a job that failed"):
        retry(settings, "a-1")
    assert client.rewound == []


def test_a_name_that_fits_several_jobs_or_none_is_refused(settings, database):
    database([_status("a-1", output=DONE), _status("a-12", output=DONE)])
    assert find_job(settings, "a-1").name == "a-1"
    for name in ("a-", "b"):
        with pytest.raises(UnusableInput):
            find_job(settings, name)


def test_studies_that_arrive_are_shown_until_they_are_closed_and_found_by_what_they_name(settings, tmp_path):
    spool = Spool(tmp_path)
    dataset = pydicom.dcmread(write_series(tmp_path / "s")[0])
    path = spool.keep("1.2.3", (tmp_path / "s" / "0000.dcm").read_bytes())
    (job,) = list_jobs(settings)
    assert (job.state, job.objects) == (JobState.RECEIVING, 1)
    assert list_jobs(settings, find=str(dataset.PatientID)) == [job]
    assert list_jobs(settings, find="nobody") == []
    close_study(spool, path.parent.name, Closed.QUIET, "now")
    assert list_jobs(settings, find=str(dataset.PatientID)) == [job]
    spool.mark_closed(path.parent.name, path.parent.stat().st_mtime_ns)
    assert list_jobs(settings) == []


def test_jobs_are_chosen_by_state(settings, database):
    database([_status("a-1", output=DONE), _status("b-1", "PENDING")])
    assert [j.name for j in list_jobs(settings, states=(JobState.RUNNING,))] == ["b-1"]


def _proof(status="SUCCESS", **output):
    output = {**DONE, "committed": None, "seen": None, **output} if output else None
    return _status("proof:a-1>PACS", status, output)


def test_a_job_is_done_when_its_delivery_is_proved_and_not_before(settings, database):
    files = ["a", "b"]
    delivery = _delivery("a-1", "PACS", stored=files)
    steps = [
        {"function_name": "plan", "output": {"commitment": True, "read_back": False}},
        {"function_name": "answer", "output": {"uids": ["1.1"]}},
    ]
    database([_status("a-1", output=DONE)], [delivery], steps, [_proof("PENDING")])
    (job,) = list_jobs(settings)
    (found,) = job.deliveries
    assert (job.state, found.committed, found.seen) == (JobState.DELIVERING, 1, None)
    database([_status("a-1", output=DONE)], [delivery], proofs=[_proof(committed=files, seen=files)])
    (job,) = list_jobs(settings)
    (found,) = job.deliveries
    assert (job.state, found.stored, found.committed, found.seen) == (JobState.DONE, 2, 2, 2)


def test_of_a_delivery_that_was_not_proved_only_the_proof_is_run_again(settings, database):
    failed = _proof(state="FAILED", code="LNC-530", what="committed 0 of 1", do="ask", committed=[])
    client = database([_status("a-1", output=DONE)], [_delivery("a-1", "PACS")], proofs=[failed])
    (job,) = list_jobs(settings)
    assert (job.state, job.code, job.what) == (JobState.FAILED, "LNC-530", "committed 0 of 1")
    assert retry(settings, "a-1") == ["a-1 to PACS"]
    assert client.rewound == [("proof:a-1>PACS", "proofs", None)]


def test_the_workers_are_asked_about_a_study_that_is_arriving_and_about_no_other(settings, database, tmp_path):
    spool = Spool(settings.spool)
    key = spool.keep("1.2.3", write_series(tmp_path / "study")[0].read_bytes()).parent.name
    assert ask(settings, key[:5], Asked.DISCARD) == spool.study_name(key)
    assert spool.asked() == [(key, Asked.DISCARD)]
    database([_status("done-1", output=DONE)])
    with pytest.raises(UnusableInput, match="only a study that is arriving"):
        ask(settings, "done-1", Asked.CLOSE)
