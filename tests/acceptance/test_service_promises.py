"""What the service promises of studies and deliveries, with real peers and processes; only the computing is a stub."""

import hashlib
import json
import os
import signal
import time
from contextlib import contextmanager, suppress

import numpy as np
import pydicom
import pytest
from lnc_service.demo.main import free_port
from lnc_service.jobs import find_job, retry
from lnc_service.settings import load_settings
from lnc_service.states import JobState
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt

from lnc_dicom.errors import UnusableInput
from tests.acceptance.conftest import Service, wait_for
from tests.acceptance.service_stub import FILES, PROGRAM
from tests.factories import write_series


class Pacs:
    """A PACS that remembers every C-STORE; `answer` gives the status for one."""

    def __init__(self, title="PACS", port=0, answer=lambda dataset: 0):
        self.title, self.port, self.answer = title, port or free_port(), answer
        self.stored, self.offered = [], []
        self._ae = None

    def start(self):
        self._ae = AE(ae_title=self.title)
        self._ae.supported_contexts = AllStoragePresentationContexts
        self._ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._on_store)])
        return self

    def _on_store(self, event):
        status = self.answer(event.dataset)
        row = (str(event.dataset.StudyInstanceUID), str(event.dataset.Modality))
        self.offered.append(row)
        if status == 0:
            digest = hashlib.sha256(event.request.DataSet.getvalue()).hexdigest()
            self.stored.append((*row, str(event.dataset.SOPInstanceUID), digest))
        return status

    def stop(self):
        if self._ae is not None:
            self._ae.shutdown()
            self._ae = None

    def studies(self):
        """Studies in the order in which their results came."""
        return list(dict.fromkeys(row[0] for row in self.stored))


@contextmanager
def _running(folder, *pacs, **options):
    """Run the service with the stub and destinations; the first is `[pacs]`."""
    first, *others = pacs
    more = options.pop("more", "") + "".join(
        f'[[others]]\nhost = "127.0.0.1"\nport = {p.port}\nae_title = "{p.title}"\ntimeout_s = 5\n' for p in others
    )
    options = {"quiet_s": 1, **options}
    service = Service(folder, first.port, PROGRAM, more, title=first.title, **options)
    try:
        yield service
    finally:
        service.stop()
        for p in pacs:
            p.stop()


def _study(folder, count=4, **kwargs):
    """Write a small study; give its UID and files."""
    uid = kwargs.pop("study_uid", None) or generate_uid()
    array = np.arange(count * 64, dtype=np.float32).reshape(count, 8, 8)
    return uid, write_series(folder, array, np.eye(4), study_uid=uid, **kwargs)


def _key(uid):
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def test_late_images_make_one_more_result_and_nothing_is_computed_twice(tmp_path, program):
    pacs = Pacs().start()
    with _running(tmp_path, pacs) as service:
        service.start()
        _, paths = _study(tmp_path / "study", 8)
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
    with _running(tmp_path, pacs) as service:
        service.start()
        _, paths = _study(tmp_path / "study")
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
    with _running(tmp_path, Pacs().start()) as service:
        service.start()
        _, paths = _study(tmp_path / "study")
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
    with _running(tmp_path, dead, live) as service:
        service.start()
        sent = []
        for n in range(4):
            uid, paths = _study(tmp_path / f"{n}", 1)
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


def _swapped(text, first, second, first_port, second_port):
    """Exchange two destinations in the settings."""
    pairs = [(f'"{first}"', f'"{second}"'), (f"port = {first_port}\n", f"port = {second_port}\n")]
    for a, b in pairs:
        text = text.replace(a, "@").replace(b, a).replace("@", b)
    return text


def test_a_refused_object_is_sent_once_and_the_others_are_stored(tmp_path, program):
    pacs = Pacs(answer=lambda dataset: 0xA900 if dataset.Modality == "SR" else 0).start()
    with _running(tmp_path, pacs) as service:
        service.start()
        _, paths = _study(tmp_path / "study")
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
    with _running(tmp_path, Pacs().start(), more="[compute]\nmemory_limit_mb = 1000\ntime_limit_s = 6\n") as service:
        bad = {name: _study(tmp_path / name) for name in ("FAKE_ABORT", "FAKE_HANG", "FAKE_EAT")}
        good, paths = _study(tmp_path / "good")
        service.environment |= {name: _key(uid) for name, (uid, _) in bad.items()}
        service.start()
        for _, files in bad.values():
            service.send(program("storescu"), *files)
        service.send(program("storescu"), *paths)
        jobs = {j.name[:12]: j for j in wait_for(lambda: service.finished(4), 90)}
        assert jobs[_key(good)].state is JobState.DONE
        reasons = ("signal 6", "longer than 6 s", "more than 1000 MB")
        for (uid, _), reason in zip(bad.values(), reasons, strict=True):
            job = jobs[_key(uid)]
            assert (job.state, job.code) == (JobState.FAILED, "LNC-302")
            assert reason in job.what
            assert sum(line["job"] == job.name for line in service.lines("computing")) == 3
        assert service.process.poll() is None
        assert "CANARY" not in service.log.read_text()
        failed = jobs[_key(bad["FAKE_ABORT"][0])]
        assert retry(load_settings(service.config), failed.name[:14]) == [failed.name]


def test_another_worker_finishes_what_a_killed_one_had_in_hand_and_leaves_a_running_one_alone(tmp_path, program):
    pacs = Pacs().start()
    with _running(tmp_path, pacs) as service:
        service.environment["FAKE_SECONDS"] = "6"
        service.start()
        _, paths = _study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        wait_for(lambda: service.lines("computing"), 30)
        second = Service(tmp_path, pacs.port, PROGRAM)
        second.config, second.log, second.spool = service.config, tmp_path / "second.log", service.spool
        second.environment["FAKE_SECONDS"] = "0.5"
        second.start("worker")
        try:
            wait_for(lambda: service.finished(1), 30)
            assert second.lines("computing") == []
            _, paths = _study(tmp_path / "other")
            _, more = _study(tmp_path / "third")
            second.environment["FAKE_SECONDS"] = "30"
            service.send(program("storescu"), *paths)
            service.send(program("storescu"), *more)
            wait_for(lambda: len(service.lines("computing")) >= 2, 30)
            begun = time.monotonic()
            service.kill()
            wait_for(lambda: len(pacs.stored) >= 3 * len(FILES), 60)
            assert time.monotonic() - begun < 60
            assert len(pacs.stored) == len({row[2] for row in pacs.stored}) == 3 * len(FILES)
        finally:
            second.stop()


def test_kills_at_any_moment_lose_nothing_and_double_nothing(tmp_path, program):
    pacs = Pacs().start()
    random = np.random.default_rng(7)
    with _running(tmp_path, pacs) as service:
        service.environment["FAKE_SECONDS"] = "0.5"
        service.start()
        sent = []
        for n in range(6):
            uid, paths = _study(tmp_path / f"{n}")
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
    with _running(tmp_path, pacs) as service:
        service.start()
        received = service.spool / "received"
        (received / "stray").write_bytes(b"x")
        (received / "empty").mkdir()
        (received / "broken").mkdir()
        (received / "broken" / "x.dcm").write_bytes(b"nonsense")
        uid, paths = _study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        wait_for(lambda: pacs.studies() == [uid], 60)
        assert service.process.poll() is None
        assert "ended" not in service.events()


def test_an_operator_finds_a_study_and_no_log_says_what_was_typed(tmp_path, program):
    with _running(tmp_path, Pacs().start()) as service:
        service.start()

        def identify(dataset):
            dataset.AccessionNumber, dataset.PatientID = "CANARY-A", "CANARY-P"

        uid, paths = _study(tmp_path / "study", change=identify)
        _, more = _study(tmp_path / "other")
        service.send(program("storescu"), *paths, *more)
        wait_for(lambda: service.finished(2), 60)
        for text in ("CANARY-A", "canary-p "):
            assert [j.name[:12] for j in service.jobs(find=text)] == [_key(uid)]
        date = str(pydicom.dcmread(paths[0]).StudyDate)
        assert len(service.jobs(find=date)) == 2
        assert service.jobs(find="nobody") == service.jobs(states=(JobState.FAILED,)) == []
        assert len(service.jobs(states=(JobState.DONE,))) == 2
        assert find_job(load_settings(service.config), _key(uid)).name.startswith(_key(uid))
        assert "CANARY" not in service.log.read_text()
        assert "CANARY" not in json.dumps([j.as_json() for j in service.jobs()])


def test_receiving_goes_on_when_the_worker_dies(tmp_path, program):
    with _running(tmp_path, Pacs().start()) as service:
        service.start()
        wait_for(lambda: service.lines("working"), 30)
        os.kill(service.lines("working")[-1]["pid"], signal.SIGKILL)
        _, paths = _study(tmp_path / "study")
        service.send(program("storescu"), *paths)
        wait_for(lambda: service.finished(1), 60)
        assert service.events().count("listening") == 1
