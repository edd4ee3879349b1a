import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lnc_service import app
from lnc_service.app import CANNOT_RUN, Desk, Keeper, Others, Supervised
from lnc_service.jobs import Delivery, Job
from lnc_service.manifest import Closed, manifests_of, shorten_manifests
from lnc_service.rules.book import RuleBook
from lnc_service.settings import Settings
from lnc_service.spool import Asked, Spool
from lnc_service.states import JobState
from lnc_service.watch import Watch
from tests.factories import write_series


class _Engine:
    """Remembers what is enqueued; jobs in `active` are under way."""

    def __init__(self, monkeypatch):
        self.enqueued, self.active, self.known = [], set(), set()
        monkeypatch.setattr(app, "enqueue", lambda manifest: self.enqueued.append(manifest.job))
        monkeypatch.setattr(app, "is_active", lambda job: job in self.active)
        monkeypatch.setattr(app, "known_jobs", lambda: self.known)


@pytest.fixture
def engine(monkeypatch):
    return _Engine(monkeypatch)


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    return spool


@pytest.fixture
def images(tmp_path):
    return [path.read_bytes() for path in write_series(tmp_path / "study", study_uid="1.2.3")[:4]]


def _desk(spool):
    return Desk(spool, Watch(spool, quiet_s=0.2, longest_s=60))


def _look_until_closed(desk):
    for _ in range(3):
        time.sleep(0.25)
        desk.look()


def test_a_complete_study_is_enqueued_once_also_after_a_restart(spool, images, engine):
    spool.keep("1.2.3", images[0])
    desk = _desk(spool)
    _look_until_closed(desk)
    _look_until_closed(_desk(spool))
    assert len(engine.enqueued) == 1


def test_late_images_wait_until_the_earlier_job_of_their_study_has_ended(spool, images, engine):
    desk = _desk(spool)
    spool.keep("1.2.3", images[0])
    _look_until_closed(desk)
    engine.active = set(engine.enqueued)
    spool.keep("1.2.3", images[1])
    _look_until_closed(desk)
    assert len(engine.enqueued) == 1
    engine.active = set()
    desk.look()
    assert len(set(engine.enqueued)) == 2


def test_jobs_that_the_database_has_lost_are_enqueued_again_from_the_spool(spool, images, engine):
    spool.keep("1.2.3", images[0])
    _look_until_closed(_desk(spool))
    (job,) = engine.enqueued
    _desk(spool).restore()
    assert engine.enqueued == [job, job]
    engine.known = {job}
    _desk(spool).restore()
    assert engine.enqueued == [job, job]


def test_a_job_that_was_lost_after_its_images_were_forgotten_is_not_enqueued_to_fail(spool, images, engine):
    key = spool.keep("1.2.3", images[0]).parent.name
    _look_until_closed(_desk(spool))
    engine.enqueued.clear()
    shorten_manifests(spool, key)
    _desk(spool).restore()
    assert engine.enqueued == []


def test_a_study_that_has_nothing_to_measure_is_closed_without_a_job(spool, engine):
    (spool.received / "empty").mkdir()
    _look_until_closed(_desk(spool))
    assert engine.enqueued == []
    assert spool.closed_ns("empty")


def _ruled(spool, text):
    (spool.root / "site.toml").write_text(text)
    settings = Settings(spool=spool.root, rules=spool.root / "site.toml", pacs={"host": "x", "ae_title": "PACS"})
    watch = Watch(spool, quiet_s=0.2, longest_s=60)
    return Desk(spool, watch, RuleBook(settings))


WAITS = '[[rule]]\nname = "a"\nwait = { for_series = ["*asl*"], up_to_minutes = %s }\n'


def test_a_series_that_a_rule_names_is_waited_for_and_not_longer_than_it_says(spool, images, engine):
    key = spool.keep("1.2.3", images[0]).parent.name
    _look_until_closed(_ruled(spool, WAITS % 10))
    assert engine.enqueued == []
    _look_until_closed(_ruled(spool, WAITS % 0.005))
    assert len(engine.enqueued) == 1
    (manifest,) = manifests_of(spool, key)
    assert (manifest.applied.name, manifest.missing, manifest.reason) == ("a", ("*asl*",), Closed.QUIET)


def test_a_study_closes_as_soon_as_the_series_that_was_waited_for_has_come(spool, images, engine):
    desk = _ruled(spool, (WAITS % 10).replace("*asl*", "*"))
    spool.keep("1.2.3", images[0])
    _look_until_closed(desk)
    assert len(engine.enqueued) == 1


def test_an_operator_closes_a_study_that_waits_and_discards_one(spool, images, engine):
    desk = _ruled(spool, WAITS % 10)
    key = spool.keep("1.2.3", images[0]).parent.name
    other = spool.keep("1.2.4", images[1]).parent.name
    spool.ask(key, Asked.CLOSE)
    spool.ask(other, Asked.DISCARD)
    spool.ask("gone", Asked.CLOSE)
    desk.look()
    (manifest,) = manifests_of(spool, key)
    assert (engine.enqueued, manifest.reason) == ([manifest.job], Closed.OPERATOR)
    assert manifests_of(spool, other) == []
    assert spool.closed_ns(other)
    assert spool.asked() == []


class _Presence:
    def __init__(self, *gone):
        self.dead, self.asked = gone, []

    def gone(self, workers):
        self.asked.append(sorted(workers))
        return [worker for worker in workers if worker in self.dead]


def test_only_what_dead_workers_had_in_hand_is_taken_over_and_never_ones_own(monkeypatch):
    taken = []
    monkeypatch.setattr(app, "running_workers", lambda: {"me", "dead", "alive"})
    monkeypatch.setattr(app, "take_over", taken.append)
    presence = _Presence("dead", "me")
    monkeypatch.setattr(app, "dropped", lambda name: set())
    Others(presence, "me").look()
    assert presence.asked == [["alive", "dead"]]
    assert taken == [["dead"]]


def test_what_this_worker_dropped_is_picked_up_when_it_was_dropped_at_two_looks(monkeypatch):
    picked = []
    looks = iter([{"a"}, {"a", "b"}, {"b"}])
    monkeypatch.setattr(app, "running_workers", set)
    monkeypatch.setattr(app, "dropped", lambda name: next(looks))
    monkeypatch.setattr(app, "pick_up", lambda names: picked.append(sorted(names)))
    monkeypatch.setattr(app, "PRESENCE_S", 0.0)
    others = Others(_Presence(), "me")
    for _ in range(3):
        others.look()
    assert picked == [[], ["a"], ["b"]]


def _until(condition, limit_s=10):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_process_that_dies_is_started_again(tmp_path):
    script = f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); raise SystemExit(1)"
    process = Supervised([sys.executable, "-c", script], "worker")
    _until(lambda: process.status == 1)
    process.keep_alive()
    _until(lambda: process.status == 1)
    process.keep_alive()  # too soon: it waits
    process.stop()
    assert (tmp_path / "starts").read_text() == "xx"


def test_a_process_that_says_it_cannot_run_ends_the_service_with_that_status(monkeypatch, tmp_path):
    monkeypatch.setattr(app, "RECEIVER", (sys.executable, "-c", f"raise SystemExit({CANNOT_RUN})"))
    monkeypatch.setattr(app, "WORKER", (sys.executable, "-c", "import time; time.sleep(60)"))
    settings = Settings(spool=tmp_path, pacs={"host": "x", "ae_title": "PACS"})
    assert app.serve(settings, None, threading.Event()) == CANNOT_RUN


def test_a_service_that_is_stopped_ends_its_processes(monkeypatch, tmp_path):
    sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
    monkeypatch.setattr(app, "RECEIVER", sleeper)
    monkeypatch.setattr(app, "WORKER", sleeper)
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    settings = Settings(spool=tmp_path, pacs={"host": "x", "ae_title": "PACS"})
    begun = time.monotonic()
    assert app.serve(settings, None, stop) == 0
    assert time.monotonic() - begun < 20


def test_nothing_that_goes_wrong_at_a_look_ends_the_worker():
    def broken():
        raise OSError("the disk is gone")

    assert not app._safely(broken)
    assert app._safely(lambda: None)


def test_a_study_that_cannot_be_closed_holds_up_no_other_and_is_tried_again(spool, images, engine, monkeypatch):
    for study in ("1.2.3", "1.2.4"):
        spool.keep(study, images[0])
    bad = next(iter(sorted(spool.received.iterdir()))).name
    close_study = app.close_study

    def full_disk(spool, key, *arguments):
        if key == bad:
            raise OSError(28, "No space left on device")
        return close_study(spool, key, *arguments)

    monkeypatch.setattr(app, "close_study", full_disk)
    desk = _desk(spool)
    _look_until_closed(desk)
    assert [job[:12] for job in engine.enqueued] == [p.name[:12] for p in spool.received.iterdir() if p.name != bad]
    monkeypatch.setattr(app, "close_study", close_study)
    _look_until_closed(desk)
    assert len(engine.enqueued) == 2


def test_what_the_spool_has_forgotten_the_database_forgets_with_its_deliveries(spool, monkeypatch):
    delivery = Delivery("PACS", JobState.DONE, 3, 0, 0)
    old = Job("a" * 12 + "-1", JobState.DONE, datetime(2020, 1, 1, tzinfo=UTC), 1, deliveries=(delivery,))
    new = replace(old, name="b" * 12 + "-1", since=datetime.now(UTC))
    asked = []
    monkeypatch.setattr(app, "FORGET_S", 0.0)
    monkeypatch.setattr(app, "list_jobs", lambda settings: [old, new])
    monkeypatch.setattr(app, "forget_rows", lambda jobs, deliveries: asked.append((jobs, deliveries)))
    Keeper(Settings(spool=spool.root, pacs={"host": "x", "ae_title": "PACS"})).look()
    assert asked == [([old.name], [f"{old.name}>PACS", f"proof:{old.name}>PACS"])]
