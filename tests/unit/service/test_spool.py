import os
import time

from lnc_service import spool as spool_module
from lnc_service.spool import Spool, write_durably


def _spool(tmp_path):
    spool = Spool(tmp_path)
    spool.prepare()
    return spool


def test_what_is_kept_is_there_byte_by_byte(tmp_path):
    path = _spool(tmp_path).keep("1.2.3", b"abc")
    assert path.read_bytes() == b"abc"


def test_the_same_object_twice_is_one_file(tmp_path):
    spool = _spool(tmp_path)
    assert spool.keep("1.2.3", b"abc") == spool.keep("1.2.3", b"abc")
    assert len(list(spool.received.glob("*/*"))) == 1


def test_studies_lie_apart(tmp_path):
    spool = _spool(tmp_path)
    first, second = spool.keep("1.2.3", b"a"), spool.keep("1.2.4", b"a")
    assert first.parent != second.parent


def test_no_name_on_disk_is_an_identifier(tmp_path):
    _spool(tmp_path).keep("../../1.2.3.CANARY", b"abc")
    names = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")]
    assert not any("CANARY" in name or ".." in name or "1.2.3" in name for name in names)
    assert all(tmp_path in p.resolve().parents for p in tmp_path.rglob("*"))


def test_what_did_not_arrive_whole_is_never_counted_and_removed_at_the_next_start(tmp_path):
    spool = _spool(tmp_path)
    spool.keep("1.2.3", b"abc")
    half = spool.begin()
    half.write(b"half")
    assert len(list(spool.received.glob("*/*"))) == 1
    assert spool.recover() == 0
    assert half.path.exists()  # somebody is still writing it
    os.close(half.descriptor)  # as when the process dies
    assert spool.recover() == 1
    assert not half.path.exists()
    assert len(list(spool.received.glob("*/*"))) == 1


def test_preparing_leaves_alone_what_another_process_is_writing(tmp_path):
    spool = _spool(tmp_path)
    half = spool.begin()
    half.write(b"abc")
    spool.prepare()
    assert spool.keep_arrived(half, "1.2.3").read_bytes() == b"abc"


def test_objects_that_a_power_cut_cut_short_are_removed_when_the_machine_has_started_again(tmp_path, monkeypatch):
    spool = _spool(tmp_path)
    spool.recover()
    whole, cut = spool.keep("1.2.3", b"abc"), spool.keep("1.2.3", b"abcd")
    cut.write_bytes(b"ab")
    assert spool.recover() == 0
    assert cut.exists()  # the same boot: the file system has all that was written
    boot = tmp_path / "another-boot"
    boot.write_text("another")
    monkeypatch.setattr(spool_module, "_BOOT_ID", boot)
    assert spool.recover() == 1
    assert whole.exists()
    assert not cut.exists()
    assert spool.recover() == 0


def test_after_a_restart_only_the_newest_objects_are_read_again(tmp_path):
    spool = _spool(tmp_path)
    old = spool.keep("1.2.3", b"abc")
    new = spool.keep("1.2.4", b"abc")
    for path in (old, new):
        path.write_bytes(b"cut")
    for path in (old, old.parent):
        os.utime(path, (time.time() - 3600, time.time() - 3600))
    assert spool.recover() == 1
    assert old.exists()


def test_a_full_disk_does_not_keep_the_receiver_from_starting(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    spool = _spool(tmp_path)
    monkeypatch.setattr(spool_module, "write_durably", full)
    assert spool.recover() == 0


def test_others_may_not_look_into_the_spool(tmp_path):
    old = os.umask(0)
    try:
        spool = Spool(tmp_path / "spool")
        spool.prepare()
        path = spool.keep("1.2.3", b"abc")
        write_durably(spool.root / "results" / "x", b"abc")
    finally:
        os.umask(old)
    folders = [p for p in spool.root.rglob("*") if p.is_dir()]
    assert {p.stat().st_mode & 0o777 for p in (spool.root, *folders)} == {0o700}
    assert {p.stat().st_mode & 0o777 for p in (path, spool.root / "results" / "x")} == {0o600}


def test_a_worker_that_starts_never_touches_what_the_receiver_is_writing(tmp_path):
    spool = _spool(tmp_path)
    part = spool.keep("1.2.3", b"abc").parent / "x.dcm.1.2.part"
    part.write_bytes(b"half")
    spool.prepare()
    assert part.read_bytes() == b"half"


def test_another_content_of_a_study_is_another_job_and_the_study_is_seen_in_both(tmp_path):
    spool = _spool(tmp_path)
    first, second = (spool.job_name("a" * 24, content) for content in ("b" * 64, "c" * 64))
    assert first != second
    assert first.split("-")[0] == second.split("-")[0] == spool.study_name("a" * 24)


def test_the_time_of_change_at_which_a_study_was_closed_is_remembered(tmp_path):
    spool = _spool(tmp_path)
    assert spool.closed_ns("a") == 0
    spool.mark_closed("a", 1_700_000_000_123_456_000)
    assert Spool(tmp_path).closed_ns("a") == 1_700_000_000_123_456_000
