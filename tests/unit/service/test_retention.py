import json
import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from lnc_service import retention
from lnc_service.jobs import Job
from lnc_service.manifest import Closed, Manifest
from lnc_service.retention import Part, Why, forget, forget_jobs, survey
from lnc_service.settings import Settings
from lnc_service.spool import Spool
from lnc_service.states import JobState

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = "a" * 24
JOB = f"{KEY[:12]}-1"


@pytest.fixture
def settings(tmp_path):
    Spool(tmp_path).prepare()
    keep = {"images_days": 14, "results_days": 90}
    return Settings(spool=tmp_path, pacs={"host": "x", "ae_title": "PACS"}, keep=keep)


@pytest.fixture
def spool(settings):
    """A closed study with a result."""
    spool = Spool(settings.spool)
    (spool.received / KEY).mkdir()
    (spool.received / KEY / "1.dcm").write_bytes(b"image")
    spool.results(JOB).mkdir()
    for name in ("result.json", "measurements.dcm", "segmentation.dcm"):
        (spool.results(JOB) / name).write_bytes(b"result")
    spool.mark_closed(KEY, (spool.received / KEY).stat().st_mtime_ns)
    return spool


def _job(state=JobState.DONE, days=0.0, name=JOB):
    return Job(name, state, NOW - timedelta(days=days), 1)


def _why(settings, *jobs):
    return {held.part: held.why for held in survey(settings, jobs, NOW)}


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.RUNNING, JobState.DELIVERING])
def test_what_is_not_delivered_everywhere_stays_however_old_it_is(settings, spool, state):
    assert set(_why(settings, _job(state, 9999)).values()) == {Why.UNDELIVERED}
    assert forget(settings, [_job(state, 9999)], NOW) == 0


def test_what_failed_stays_until_it_is_run_again(settings, spool):
    assert set(_why(settings, _job(JobState.FAILED, 9999)).values()) == {Why.FAILED}


def test_images_and_results_have_times_of_their_own(settings, spool):
    assert _why(settings, _job(days=10)) == {Part.IMAGES: Why.KEPT, Part.RESULTS: Why.KEPT}
    assert _why(settings, _job(days=15)) == {Part.IMAGES: Why.FORGOTTEN, Part.RESULTS: Why.KEPT}
    assert _why(settings, _job(days=91)) == {Part.IMAGES: Why.FORGOTTEN, Part.RESULTS: Why.FORGOTTEN}


def test_one_job_of_a_study_that_waits_keeps_its_images(settings, spool):
    jobs = [_job(days=99), _job(JobState.DELIVERING, name=f"{KEY[:12]}-2")]
    assert _why(settings, *jobs)[Part.IMAGES] is Why.UNDELIVERED


def test_what_no_job_has_measured_yet_stays(settings, spool):
    os.utime(spool.received / KEY)
    assert _why(settings, _job(days=999))[Part.IMAGES] is Why.ARRIVING


def test_results_of_a_job_that_the_database_does_not_know_stay(settings, spool):
    assert _why(settings)[Part.RESULTS] is Why.UNDELIVERED


def test_forgetting_removes_images_and_objects_and_leaves_what_later_results_name(settings, spool):
    assert forget(settings, [_job(days=99)], NOW) == 2
    assert list(spool.received.iterdir()) == []
    assert sorted(p.name for p in spool.results(JOB).iterdir()) == ["measurements.dcm", "result.json"]
    assert forget(settings, [_job(days=99)], NOW) == 0


def test_what_is_known_of_images_is_forgotten_with_them(settings, spool, monkeypatch):
    shortened = []
    monkeypatch.setattr(retention, "shorten_manifests", lambda _, key: shortened.append(key))
    forget(settings, [_job(days=13)], NOW)
    assert shortened == []
    forget(settings, [_job(days=15)], NOW)
    assert shortened == [KEY]


def test_an_object_that_arrives_while_its_study_is_forgotten_is_kept(settings, spool, monkeypatch):
    closed_ns = Spool.closed_ns

    def arrive_first(self, key):
        answer = closed_ns(self, key)
        late = self.received / KEY / "2.dcm"
        if not late.exists() and late.parent.exists():
            late.write_bytes(b"late")
            os.utime(late.parent, (1, 1))
        return answer

    monkeypatch.setattr(Spool, "closed_ns", arrive_first)
    assert forget(settings, [_job(days=20)], NOW) == 0
    assert sorted(p.name for p in (spool.received / KEY).iterdir()) == ["1.dcm", "2.dcm"]


@pytest.mark.parametrize("decided", [True, False])
def test_a_removal_that_was_cut_off_is_ended_or_undone_and_holds_up_nothing(settings, spool, decided, monkeypatch):
    away = settings.spool / "forgotten" / f"{KEY}-1a2b{'.done' if decided else ''}"
    away.parent.mkdir()
    (spool.received / KEY).replace(away)
    assert forget(settings, [_job(days=20)], NOW) == 0
    assert away.exists() is not decided  # another worker may be about to decide
    monkeypatch.setattr("time.time", lambda: 1e11)
    forget(settings, [_job(days=20)], NOW)
    assert list(away.parent.iterdir()) == []
    assert (spool.received / KEY).exists() is not decided


def _remember(spool, *jobs):
    for job in jobs:
        spool.manifest(KEY, job).parent.mkdir(exist_ok=True)
        manifest = Manifest(KEY, job, "", Closed.QUIET, 0.0, (), ("1",), 0, "", ())
        spool.manifest(KEY, job).write_text(json.dumps(asdict(manifest)))


def test_a_study_is_forgotten_as_a_whole_after_the_time_of_jobs(settings, spool):
    _remember(spool, JOB)
    jobs = [_job(days=366)]
    assert forget_jobs(settings, jobs, NOW) == []  # its images are there
    forget(settings, jobs, NOW)
    os.utime(settings.spool / "closed" / KEY, (0, 0))
    assert forget_jobs(settings, jobs, NOW) == jobs
    left = [path for path in settings.spool.rglob("*") if KEY[:12] in path.name]
    assert left == []


@pytest.mark.parametrize(
    "other",
    [
        _job(days=364, name=f"{KEY[:12]}-2"),
        _job(JobState.FAILED, 9999, f"{KEY[:12]}-2"),
        _job(JobState.DELIVERING, 9999, f"{KEY[:12]}-2"),
    ],
)
def test_a_job_of_the_study_that_is_newer_or_has_not_ended_well_keeps_the_others(settings, spool, other):
    _remember(spool, JOB, other.name)
    forget(settings, [_job(days=999)], NOW)
    assert forget_jobs(settings, [_job(days=999), other], NOW) == []
    assert len(spool.manifests_of(KEY)) == 2


def test_a_job_whose_manifest_went_before_the_row_is_forgotten_by_the_database_too(settings, spool):
    jobs = [_job(days=400)]
    forget(settings, jobs, NOW)
    assert forget_jobs(settings, jobs, NOW) == jobs


def test_objects_that_no_job_reads_are_forgotten_after_the_time_of_images(settings, spool):
    old, new = (spool.unused / name for name in ("old.dcm", "new.dcm"))
    for path, days in ((old, 15), (new, 13)):
        path.write_bytes(b"private")
        seconds = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (seconds, seconds))
    forget(settings, [], NOW)
    assert not old.exists()
    assert new.exists()
