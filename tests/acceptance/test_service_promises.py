"""What the service promises of studies and deliveries, with real peers and processes; only the computing is a stub."""

import json
import os
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from lnc_dicom.errors import UnusableInput
from lnc_service.jobs import find_job, retry
from lnc_service.settings import load_settings
from lnc_service.states import JobState
from tests.acceptance.conftest import Service, wait_for
from tests.acceptance.service_peers import Pacs, postgresql, running, small_study, study_name
from tests.acceptance.service_stub import FILES, PROGRAM


def test_late_images_make_one_more_result_and_nothing_is_computed_twice(tmp_path, program):
    pacs = Pacs().start()
    with running(tmp_path, pacs) as service:
        service.start()
        _, paths = small_study(tmp_path / "study", 8)
        service.send(program("storescu"), *paths[:6], options=["-nh"])
        wait_for(lambda: service.finished(1), 60)
        service.send(program("storescu"), *paths[6:])
        service.send(program("storescu"), *paths)
        wait_for(lambda: service.finished(2), 60)
        time.sleep(3)
        assert sorted(line["objects"] for line in service.lines("stage")) == [6, 8]
        assert len(pacs.stored) == len({row[2] for row in pacs.stored}) == 2 * len(FILES)
        assert {j.state for j in service.jobs()} == {JobState.DONE}


def test_other_pixels_under_the_same_uids_give_new_results_and_never_one_uid_with_two_contents(tmp_path, program):
    pacs = Pacs().start()
    with running(tmp_path, pacs) as service:
        service.start()
        _, paths = small_study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        wait_for(lambda: service.finished(1), 60)
        for path in paths:
            dataset = pydicom.dcmread(path)
            dataset.PixelData = bytes(len(dataset.PixelData))
            dataset.save_as(path)
        service.send(program("storescu"), *paths)
        wait_for(lambda: service.finished(2), 60)
        assert len({row[2] for row in pacs.stored}) == len({row[3] for row in pacs.stored}) == 2 * len(FILES)


def test_results_that_come_back_with_other_attributes_start_nothing(tmp_path, program):
    with running(tmp_path, Pacs().start()) as service:
        service.start()
        _, paths = small_study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        (job,) = wait_for(lambda: service.finished(1), 60)
        for name in FILES:
            dataset = pydicom.dcmread(service.spool / "results" / job.name / name)
            dataset.InstitutionName = "Archive"
            dataset.save_as(tmp_path / name)
        service.send(program("storescu"), *(tmp_path / name for name in FILES), options=["-R"])
        wait_for(lambda: len(list((service.spool / "received").glob("*/*.dcm"))) == len(paths) + len(FILES), 20)
        time.sleep(4)
        assert [j.name for j in service.jobs()] == [job.name]


def test_a_dead_destination_holds_up_nobody_and_gets_everything_in_order_when_it_is_back(tmp_path, program):
    live, dead = Pacs("LIVE").start(), Pacs("DEAD")
    with running(tmp_path, dead, live) as service:
        service.start()
        sent = []
        for n in range(4):
            uid, paths = small_study(tmp_path / f"{n}", 1)
            service.send(program("storescu"), *paths)
            sent.append(uid)
            time.sleep(1.2)
        wait_for(lambda: len(live.stored) == 4 * len(FILES), 30)
        wait_for(lambda: all(j.state is JobState.DELIVERING for j in service.jobs()), 10)
        head = service.jobs()[-1].deliveries
        assert {d.destination: (d.stored, d.waiting) for d in head} == {"LIVE": (3, 0), "DEAD": (0, 3)}
        service.kill()
        service.config.write_text(_swapped(service.config.read_text(), "DEAD", "LIVE", dead.port, live.port))
        service.start()
        dead.start()
        wait_for(lambda: len(dead.stored) >= 4 * len(FILES), 60)
        wait_for(lambda: service.finished(4), 20)
        assert dead.studies() == sent
        assert len(dead.stored) == len({row[2] for row in dead.stored})
        assert len(live.stored) == 4 * len(FILES)


def test_a_destination_that_lacks_a_class_gets_another_and_the_list_says_so(tmp_path, program):
    old, older = (
        Pacs("OLD", unknown=[Comprehensive3DSRStorage]).start(),
        Pacs("OLDER", unknown=[Comprehensive3DSRStorage, ComprehensiveSRStorage]).start(),
    )
    with running(tmp_path, old, older) as service:
        service.start()
        _, paths = small_study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        (job,) = wait_for(lambda: service.finished(1), 60)
    found = {d.destination: d for d in job.deliveries}
    assert (len(old.stored), len(older.stored)) == (3, 2)
    assert found["OLD"].state is JobState.DONE
    assert found["OLD"].instead == (("measurements.dcm", "Comprehensive SR Storage"),)
    assert (found["OLDER"].state, found["OLDER"].code, found["OLDER"].refused) == (JobState.FAILED, "LNC-202", 1)
    assert "measurements.dcm (SOP class not accepted; as Comprehensive SR Storage" in found["OLDER"].what


def test_a_study_from_a_stat_sender_overtakes_those_that_wait(tmp_path, program):
    with running(tmp_path, Pacs().start()) as service:
        service.config.write_text(service.config.read_text().replace("[listen]\n", '[listen]\nstat = ["EMERGENCY"]\n'))
        service.environment["FAKE_SECONDS"] = "8"
        service.start()
        names = []
        for n, title in enumerate(("CT1", "CT1", "EMERGENCY")):
            uid, paths = small_study(tmp_path / f"{n}")
            service.send(program("storescu"), *paths, options=["-aet", title])
            names.append(study_name(uid))
            wait_for(lambda count=n + 1: len(service.lines("complete")) == count, 30)
        wait_for(lambda: len(service.lines("computing")) == 3, 60)
        assert [line["job"][:12] for line in service.lines("computing")] == [names[0], names[2], names[1]]


def _swapped(text, first, second, first_port, second_port):
    """Exchange two destinations in the settings."""
    pairs = [(f'"{first}"', f'"{second}"'), (f"port = {first_port}\n", f"port = {second_port}\n")]
    for a, b in pairs:
        text = text.replace(a, "@").replace(b, a).replace("@", b)
    return text


def test_a_refused_object_is_sent_once_and_the_others_are_stored(tmp_path, program):
    pacs = Pacs(answer=lambda dataset: 0xA900 if dataset.Modality == "SR" else 0).start()
    with running(tmp_path, pacs) as service:
        service.start()
        _, paths = small_study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        (job,) = wait_for(lambda: service.finished(1), 60)
        time.sleep(2)
        assert sorted(modality for _, modality in pacs.offered) == ["OT", "SEG", "SR"]
        assert (job.state, job.code) == (JobState.FAILED, "LNC-202")
        assert "A900" in job.what
        (delivery,) = job.deliveries
        assert (delivery.stored, delivery.refused, delivery.waiting) == (2, 1, 0)
        pacs.answer = lambda dataset: 0
        assert retry(load_settings(service.config), job.name) == [f"{job.name} to PACS"]
        wait_for(lambda: service.jobs()[0].state is JobState.DONE, 30)
        with pytest.raises(UnusableInput, match="is DONE"):
            retry(load_settings(service.config), job.name)


def test_a_study_that_kills_its_process_is_tried_three_times_and_the_next_one_is_measured(tmp_path, program):
    with running(tmp_path, Pacs().start(), more="[compute]\nmemory_limit_mb = 1000\ntime_limit_s = 6\n") as service:
        bad = {name: small_study(tmp_path / name) for name in ("FAKE_ABORT", "FAKE_HANG", "FAKE_EAT")}
        good, paths = small_study(tmp_path / "good")
        service.environment |= {name: study_name(uid) for name, (uid, _) in bad.items()}
        service.start()
        for _, files in bad.values():
            service.send(program("storescu"), *files)
        service.send(program("storescu"), *paths)
        jobs = {j.name[:12]: j for j in wait_for(lambda: service.finished(4), 90)}
        assert jobs[study_name(good)].state is JobState.DONE
        reasons = ("signal 6", "longer than 6 s", "more than 1000 MB")
        for (uid, _), reason in zip(bad.values(), reasons, strict=True):
            job = jobs[study_name(uid)]
            assert (job.state, job.code) == (JobState.FAILED, "LNC-302")
            assert reason in job.what
            assert sum(line["job"] == job.name for line in service.lines("computing")) == 3
        assert service.process.poll() is None
        assert "CANARY" not in service.log.read_text()
        failed = jobs[study_name(bad["FAKE_ABORT"][0])]
        assert retry(load_settings(service.config), failed.name[:14]) == [failed.name]


@pytest.mark.parametrize("engine", ["SQLite", "PostgreSQL"])
def test_another_worker_finishes_what_a_killed_one_had_in_hand_and_leaves_a_running_one_alone(
    tmp_path, program, engine
):
    pacs = Pacs().start()
    with ExitStack() as stack:
        database = stack.enter_context(postgresql()) if engine == "PostgreSQL" else ""
        service = stack.enter_context(running(tmp_path, pacs, database=database))
        service.environment["FAKE_SECONDS"] = "8"
        service.start()
        _, paths = small_study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        wait_for(lambda: service.lines("computing"), 30)
        second = Service(tmp_path, pacs.port, PROGRAM, title="PACS", database=database, quiet_s=1)
        second.config, second.log = service.config, tmp_path / "second.log"
        second.environment["FAKE_SECONDS"] = "0.5"
        second.start("worker")
        stack.callback(second.stop)
        wait_for(lambda: service.finished(1), 30)
        assert second.lines("computing") == []
        service.environment["FAKE_SECONDS"] = "0.5"
        for name in ("other", "third"):
            _, paths = small_study(tmp_path / name)
            service.send(program("storescu"), *paths)
        wait_for(lambda: len(service.lines("computing")) >= 2, 30)
        begun = time.monotonic()
        service.kill()
        wait_for(lambda: len(pacs.stored) >= 3 * len(FILES), 60)
        assert time.monotonic() - begun < 60
        assert len(pacs.stored) == len({row[2] for row in pacs.stored}) == 3 * len(FILES)


def test_kills_at_any_moment_lose_nothing_and_double_nothing(tmp_path, program):
    pacs = Pacs().start()
    random = np.random.default_rng(7)
    with running(tmp_path, pacs) as service:
        service.environment["FAKE_SECONDS"] = "0.5"
        service.start()
        sent = []
        for n in range(6):
            uid, paths = small_study(tmp_path / f"{n}")
            service.send(program("storescu"), *paths)
            sent.append(uid)
            time.sleep(float(random.uniform(0.5, 4)))
            if n % 2:
                service.kill()
                service.start()
            else:
                with suppress(ProcessLookupError, IndexError):  # the last one has not begun to work yet
                    os.kill(service.lines("working")[-1]["pid"], signal.SIGKILL)
        wait_for(lambda: service.finished(len(sent)), 90)
        assert {j.state for j in service.jobs()} == {JobState.DONE}
        assert len({row[2] for row in pacs.stored}) == len({row[3] for row in pacs.stored}) == len(sent) * len(FILES)


def test_nothing_that_lies_in_the_spool_ends_the_service(tmp_path, program):
    pacs = Pacs().start()
    with running(tmp_path, pacs) as service:
        service.start()
        received = service.spool / "received"
        (received / "stray").write_bytes(b"x")
        (received / "empty").mkdir()
        (received / "broken").mkdir()
        (received / "broken" / "x.dcm").write_bytes(b"nonsense")
        uid, paths = small_study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        wait_for(lambda: pacs.studies() == [uid], 60)
        assert service.process.poll() is None
        assert "ended" not in service.events()


def test_an_operator_finds_a_study_and_no_log_says_what_was_typed(tmp_path, program):
    with running(tmp_path, Pacs().start()) as service:
        service.start()

        def identify(dataset):
            dataset.AccessionNumber, dataset.PatientID = "CANARY-A", "CANARY-P"

        uid, paths = small_study(tmp_path / "study", change=identify)
        _, more = small_study(tmp_path / "other")
        service.send(program("storescu"), *paths, *more)
        wait_for(lambda: service.finished(2), 60)
        for text in ("CANARY-A", "canary-p "):
            assert [j.name[:12] for j in service.jobs(find=text)] == [study_name(uid)]
        date = str(pydicom.dcmread(paths[0]).StudyDate)
        assert len(service.jobs(find=date)) == 2
        assert service.jobs(find="nobody") == service.jobs(states=(JobState.FAILED,)) == []
        assert len(service.jobs(states=(JobState.DONE,))) == 2
        assert find_job(load_settings(service.config), study_name(uid)).name.startswith(study_name(uid))
        assert "CANARY" not in service.log.read_text()
        assert "CANARY" not in json.dumps([j.as_json() for j in service.jobs()])


def test_receiving_goes_on_when_the_worker_dies(tmp_path, program):
    with running(tmp_path, Pacs().start()) as service:
        service.start()
        wait_for(lambda: service.lines("working"), 30)
        os.kill(service.lines("working")[-1]["pid"], signal.SIGKILL)
        _, paths = small_study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        wait_for(lambda: service.finished(1), 60)
        assert service.events().count("listening") == 1


def test_a_service_that_is_stopped_while_it_computes_goes_on_at_the_next_start(tmp_path, program):
    pacs = Pacs().start()
    with running(tmp_path, pacs) as service:
        service.environment["FAKE_SECONDS"] = "60"
        service.start()
        _, paths = small_study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        wait_for(lambda: service.lines("computing"), 60)
        service.stop()
        assert {line["event"] for line in service.lines()} & {"failed", "child ended", "finished"} == set()
        service.environment["FAKE_SECONDS"] = "0.1"
        service.start()
        (job,) = wait_for(lambda: service.finished(1), 60)
        assert job.state is JobState.DONE
        assert len(pacs.stored) == len(FILES)


@contextmanager
def _small_disk(megabytes):
    """Mount a file system of its own in memory; only root may."""
    folder = Path(tempfile.mkdtemp(prefix="small-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(path):
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(1))


@pytest.mark.parametrize("stage", ["computing", "closing"])
def test_a_disk_that_fills_up_is_recovered_from_without_hands(tmp_path, program, stage):
    pacs = Pacs().start()
    with _small_disk(40) as disk, running(tmp_path, pacs) as service:
        config = service.config.read_text().replace(str(service.spool), str(disk / "spool"))
        service.config.write_text(
            config.replace("[listen]\n", "[listen]\nfree_disk_mb = 0\n")
        )  # no reserve: really full
        service.spool = disk / "spool"
        service.environment["FAKE_SECONDS"] = "3"
        service.start()
        wait_for(lambda: service.lines("working"), 60)
        _, paths = small_study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        if stage == "computing":
            wait_for(lambda: service.lines("computing"), 60)
        _fill(disk / "filler")
        time.sleep(10)
        assert service.process.poll() is None
        assert pacs.stored == []
        (disk / "filler").unlink()
        (job,) = wait_for(lambda: service.finished(1), 90)
        assert job.state is JobState.DONE
        assert len(pacs.stored) == len({row[2] for row in pacs.stored}) == len(FILES)
