import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import AE, build_context
from pynetdicom.sop_class import MRImageStorage

from lnc_service.demo.main import free_port
from lnc_service.receiver import receive
from lnc_service.receiver.disk import Watermark
from lnc_service.receiver.receive import contexts_for
from lnc_service.receiver.storage_scp import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS
from lnc_service.spool import Spool
from tests.factories import write_series
from tests.mutated import send_mutant
from tests.raw_scu import EXPLICIT_LE, MR, Association, Encoded, Rejected, p_data
from tests.receiving import image, lets_in, objects_in, receiving, sample

SIEMENS_RAW, PHILIPS_SERIES = "1.3.12.2.1107.5.9.1", "1.3.46.670589.11.0.0.12.2"
MEMORY_MB_MAX = 300


@pytest.fixture
def receiver(tmp_path):
    with receiving(tmp_path) as found:
        yield found


def _send(port, dataset, called="LNC"):
    ae = AE(ae_title="TEST")
    ae.add_requested_context(MRImageStorage, dataset.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        return None
    try:
        return association.send_c_store(dataset).Status
    finally:
        association.release()


def test_success_means_that_the_object_is_on_disk(receiver):
    port, spool = receiver
    sent = image()
    assert _send(port, sent) == SUCCESS
    (path,) = objects_in(spool)
    kept = pydicom.dcmread(path)
    assert kept.SOPInstanceUID == sent.SOPInstanceUID
    assert kept.PixelData == sent.PixelData


@pytest.mark.parametrize(("stat", "noted"), [((), None), (("OTHER",), None), (("OTHER", "TEST "), "TEST")])
def test_a_file_names_who_sent_it_and_to_whom_and_whether_its_studies_come_first(tmp_path, stat, noted):
    with receiving(tmp_path, stat=stat) as (port, spool):
        sent = image()
        assert _send(port, sent) == SUCCESS
        (path,) = objects_in(spool)
        kept = pydicom.dcmread(path)
        assert kept.file_meta.get("SendingApplicationEntityTitle") == noted
        assert kept.file_meta.SourceApplicationEntityTitle == "TEST"
        assert kept.file_meta.ReceivingApplicationEntityTitle == "LNC"
        assert kept.PixelData == sent.PixelData


def test_success_is_answered_after_file_and_folder_are_synced(receiver, monkeypatch):
    port, spool = receiver
    association, item, synced, real = Association(port).open(), sample(), {}, os.fsync

    def fsync(descriptor):
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        answered = bool(select.select([association.sock], [], [], 0.3)[0])
        real(descriptor)
        synced[target] = answered

    monkeypatch.setattr(os, "fsync", fsync)
    association.sock.sendall(association.prepare(item))
    assert association.answer() == SUCCESS
    monkeypatch.undo()
    association.release()
    (path,) = objects_in(spool)
    assert synced == {path: False, path.parent: False, spool.received: False}


def test_a_sender_that_calls_another_title_is_refused(receiver):
    port, spool = receiver
    assert _send(port, image(), called="OTHER") is None
    assert objects_in(spool) == []


def test_titles_are_checked_against_the_lists_of_the_site(tmp_path):
    with receiving(tmp_path, also_called=("LNC2",), calling=("SCANNER", "PACS")) as (port, _):
        for called, calling, refusal in (
            *(("LNC", "SCANNER", None), ("LNC2", "PACS", None)),
            *(("LNC3", "PACS", "1, 1, 7"), ("LNC", "OTHER", "1, 1, 3")),
        ):
            if refusal is None:
                assert lets_in(port, called=called, calling=calling) is not None
            else:
                with pytest.raises(Rejected, match=refusal):
                    Association(port, called=called, calling=calling).open()


def test_an_object_without_a_study_is_refused_and_not_kept(receiver):
    port, spool = receiver
    sent = image()
    del sent.StudyInstanceUID
    assert _send(port, sent) == CANNOT_UNDERSTAND
    assert objects_in(spool) == []
    assert not list(spool.arriving.iterdir())


def test_an_object_that_cannot_be_written_is_answered_with_try_again(receiver, monkeypatch):
    port, _ = receiver

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "keep_arrived", full)
    assert _send(port, image()) == OUT_OF_RESOURCES


def test_senders_wait_while_the_disk_is_nearly_full_and_go_on_by_themselves(receiver, monkeypatch):
    port, spool = receiver
    item, room = sample(), {"association": True, "object": True}
    monkeypatch.setattr(Watermark, "has_room_for_an_association", lambda _: room["association"])
    monkeypatch.setattr(Watermark, "has_room_for_an_object", lambda _: room["object"])
    association = Association(port).open()
    room["association"] = False
    with pytest.raises(Rejected, match="2, 3, 1"):
        Association(port).open()
    assert association.store(item) == SUCCESS  # what is under way may end
    room["object"] = False
    assert association.store(item) == OUT_OF_RESOURCES
    assert not list(spool.arriving.iterdir())
    room |= {"association": True, "object": True}
    assert association.store(item) == SUCCESS
    association.release()
    assert lets_in(port) is not None


def test_an_object_that_fills_the_disk_on_its_way_is_dropped(receiver, monkeypatch):
    port, spool = receiver
    monkeypatch.setattr(
        Watermark, "has_room_for_an_object", lambda _: sum(p.stat().st_size for p in spool.arriving.iterdir()) < 1 << 20
    )
    association = Association(port).open()
    assert association.store(Encoded(MR, "1.2.3", EXPLICIT_LE, bytes(3 << 20))) == OUT_OF_RESOURCES
    assert association.store(sample()) == SUCCESS
    association.release()


def test_an_object_larger_than_the_site_allows_is_refused_and_the_next_one_kept(tmp_path):
    with receiving(tmp_path, largest_object_mb=1) as (port, spool):
        association = Association(port).open()
        assert association.store(Encoded(MR, "1.2.3", EXPLICIT_LE, bytes(2 << 20))) == OUT_OF_RESOURCES
        assert association.store(sample()) == SUCCESS
        association.release()
        assert len(objects_in(spool)) == 1


def test_an_object_that_was_not_sent_to_its_end_leaves_nothing(receiver):
    port, spool = receiver
    association = Association(port).open()
    association.sock.sendall(association.prepare(sample())[:-20])
    while not list(spool.arriving.iterdir()):
        time.sleep(0.02)
    association.sock.close()
    end = time.monotonic() + 5
    while list(spool.arriving.iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not list(spool.arriving.iterdir())
    assert objects_in(spool) == []


def test_the_peer_does_not_choose_file_names(receiver):
    port, spool = receiver
    sent = image()
    sent.StudyInstanceUID = "1.2.3"
    sent.SOPInstanceUID = sent.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    _send(port, sent)
    assert not [p for p in spool.root.rglob("*") if "1.2.3" in p.name]


def test_private_objects_are_accepted_kept_and_never_make_a_study(receiver):
    port, spool = receiver
    item = sample()
    item.sop_class = SIEMENS_RAW
    contexts = [(uid, [EXPLICIT_LE]) for uid in (SIEMENS_RAW, PHILIPS_SERIES, MR, "1.2.840.10008.5.1.4.1.1.66.999")]
    association = Association(port, contexts=contexts).open()
    assert set(association.accepted) == {1, 3, 5, 7}
    assert association.store(item) == SUCCESS
    association.release()
    assert list(spool.received.iterdir()) == []
    (path,) = spool.unused.iterdir()
    assert pydicom.dcmread(path).SOPInstanceUID == item.sop_instance


def test_services_that_are_not_storage_are_not_taken_for_it():
    query, print_ = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.1.9"
    requested = [build_context(uid, ExplicitVRLittleEndian) for uid in (query, print_, MR)]
    assert [str(c.abstract_syntax) for c in contexts_for(requested)] == ["1.2.840.10008.1.1", MR]


def test_reports_of_storage_commitment_are_taken_and_we_offer_none():
    (_, context) = contexts_for([build_context("1.2.840.10008.1.20.1", ExplicitVRLittleEndian)])
    assert (context.scu_role, context.scp_role) == (False, True)


def test_the_first_syntax_of_our_list_is_chosen_and_for_private_classes_one_of_the_senders_if_need_be(receiver):
    port, _ = receiver
    unknown = "1.3.46.670589.33.1.4.1"
    contexts = [(MR, [JPEG2000Lossless, ImplicitVRLittleEndian, EXPLICIT_LE]), (SIEMENS_RAW, [unknown])]
    association = Association(port, contexts=contexts).open()
    assert association.accepted == {1: EXPLICIT_LE, 3: unknown}
    association.release()


def test_dcmtk_can_send_lossless_jpeg(receiver, tmp_path, program):
    port, spool = receiver
    paths = write_series(tmp_path / "series")[:3]
    for path in paths:
        subprocess.run([program("dcmcjpeg"), path, path], check=True)
    command = [program("storescu"), "-xs", "-aec", "LNC", "127.0.0.1", str(port), *paths]
    subprocess.run(command, check=True)
    syntaxes = {pydicom.dcmread(p).file_meta.TransferSyntaxUID for p in objects_in(spool)}
    assert syntaxes == {pydicom.uid.JPEGLosslessSV1}


class Process:
    """The receiver as the service starts it."""

    def __init__(self, folder, port=None):
        self.port, self.spool, self.log = port or free_port(), Spool(folder / "spool"), folder / "log"
        config = folder / "lnc.toml"
        listen = f'[listen]\nhost = "127.0.0.1"\nport = {self.port}\nfree_disk_mb = 0\n'
        config.write_text(f'spool = "{self.spool.root}"\n{listen}[pacs]\nhost = "127.0.0.1"\nae_title = "PACS"\n')
        self.command = [sys.executable, "-m", "lnc_service.receiver.receive", "--config", str(config)]

    def start(self, *arguments):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*self.command, *arguments], stderr=log)
        return self

    def memory_mb(self):
        """Most memory that it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def __enter__(self):
        self.start()
        assert lets_in(self.port, 60) is not None, self.log.read_text()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def _gone(pid, limit_s=10):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def _bomb(megabytes):
    """Deflate zeros behind a Study Instance UID."""
    deflater = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    data = deflater.compress(b"\x20\x00\x0d\x00UI\x06\x001.2.3\0" + b"\xe0\x7f\x10\x00OW\0\0\xfe\xff\xff\xff")
    megabyte = bytes(1 << 20)
    return data + b"".join(deflater.compress(megabyte) for _ in range(megabytes)) + deflater.flush()


def test_memory_stays_bounded_whatever_a_peer_sends(tmp_path):
    with Process(tmp_path) as receiver:
        bomb = Encoded(MR, "1.2.3", DeflatedExplicitVRLittleEndian, _bomb(600))
        association = Association(receiver.port, contexts=[(MR, [bomb.syntax])], timeout_s=60).open()
        assert association.store(bomb) == CANNOT_UNDERSTAND
        association.release()
        large = Encoded(MR, "1.2.4", EXPLICIT_LE, sample().data + bytes(320 << 20))
        association = Association(receiver.port, timeout_s=60).open()
        assert association.store(large) == SUCCESS
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                association.sock.sendall(p_data(1, 1, bytes(16000)))
        with pytest.raises(ConnectionError):
            association.answer()
        assert lets_in(receiver.port) is not None
        assert receiver.memory_mb() < MEMORY_MB_MAX


def test_mutants_are_answered_or_cut_off_and_the_next_good_study_is_kept(tmp_path):
    chance = random.Random(14)  # noqa: S311
    with Process(tmp_path) as receiver:
        item = sample()
        answers = {send_mutant(receiver.port, item, chance, 0.1) for _ in range(150)}
        assert answers >= {"status 0000", "status C000", "closed"}
        assert receiver.process.poll() is None
        good = sample()
        association = Association(receiver.port).open()
        assert association.store(good) == SUCCESS
        association.release()
        assert any(good.data in path.read_bytes() for path in objects_in(receiver.spool))
        assert {p.name.partition("-")[0] for p in receiver.spool.root.iterdir()} <= {
            *("arriving", "received", "results", "unused", "manifests", "closed", "commitments", "asked", "boot")
        }
        assert not [p for p in receiver.spool.root.rglob("*") if ".." in p.name or "etc" in p.name]
        assert receiver.memory_mb() < MEMORY_MB_MAX
    assert all(json.loads(line) for line in receiver.log.read_text().splitlines())


def test_what_was_answered_with_success_outlasts_a_kill_and_the_rest_is_swept(tmp_path):
    with Process(tmp_path) as receiver:
        association = Association(receiver.port).open()
        assert association.store(sample()) == SUCCESS
        association.sock.sendall(association.prepare(sample())[:-20])
        while not list(receiver.spool.arriving.iterdir()):
            time.sleep(0.02)
        receiver.process.kill()
        receiver.process.wait()
        assert len(list(receiver.spool.arriving.iterdir())) == 1
        receiver.start()
        assert lets_in(receiver.port, 60) is not None
        assert len(objects_in(receiver.spool)) == 1
        assert not list(receiver.spool.arriving.iterdir())


def test_a_port_that_is_taken_is_one_sentence_with_a_code_and_a_stop(tmp_path):
    with receiving(tmp_path) as (port, _):
        receiver = Process(tmp_path, port).start()
        assert receiver.process.wait(60) == receive.CANNOT_START
    (line,) = map(json.loads, receiver.log.read_text().splitlines())
    assert line["code"] == receive.CannotListen.code
    assert line["event"].startswith(f"{line['code']} port {port} of 127.0.0.1: Address already in use")
    assert "frames" not in line


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_receiver_ends_when_the_service_that_started_it_ends(tmp_path, number):
    receiver = Process(tmp_path)
    script = f"import subprocess, time; print(subprocess.Popen({receiver.command!r}).pid, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        pid = int(parent.stdout.readline())
        assert lets_in(receiver.port, 60) is not None
        parent.send_signal(number)
        parent.wait()
        assert _gone(pid)
    assert lets_in(receiver.port) is None


def test_a_receiver_whose_service_has_gone_before_it_began_does_not_begin(tmp_path):
    receiver = Process(tmp_path).start("--parent", "1")
    assert receiver.process.wait(30) == 0
    assert receiver.log.read_text() == ""


def test_the_receiver_stops_within_seconds_though_a_peer_is_stuck(tmp_path):
    with Process(tmp_path) as receiver:
        association = Association(receiver.port).open()
        association.sock.sendall(association.prepare(sample())[:200])
        start = time.monotonic()
        receiver.process.terminate()
        assert receiver.process.wait(20) == 0
        assert time.monotonic() - start < 8
        association.sock.close()


def test_the_receiver_runs_without_torch():
    script = "import sys, lnc_service.receiver.receive; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
