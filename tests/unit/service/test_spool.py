import os
import time

from lnc_service.spool import Spool


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
    assert [s.objects for s in spool.studies()] == [1]


def test_studies_lie_apart_and_another_object_is_another_content(tmp_path):
    spool = _spool(tmp_path)
    spool.keep("1.2.3", b"a")
    spool.keep("1.2.4", b"a")
    first, second = spool.studies()
    assert first.key != second.key
    spool.keep("1.2.3", b"b")
    changed = spool.study(first.key if spool.study(first.key).objects == 2 else second.key)
    assert changed.objects == 2
    assert changed.job not in {first.job, second.job}


def test_no_name_on_disk_is_an_identifier(tmp_path):
    _spool(tmp_path).keep("../../1.2.3.CANARY", b"abc")
    names = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")]
    assert not any("CANARY" in name or ".." in name or "1.2.3" in name for name in names)
    assert all(tmp_path in p.resolve().parents for p in tmp_path.rglob("*"))


def test_half_written_files_are_swept_and_never_counted(tmp_path):
    spool = _spool(tmp_path)
    folder = spool.keep("1.2.3", b"abc").parent
    (folder / "x.dcm.1.2.part").write_bytes(b"half")
    assert next(spool.studies()).objects == 1
    spool.prepare()
    assert not list(folder.glob("*.part"))


def test_an_arrival_renews_the_quiet_time(tmp_path):
    spool = _spool(tmp_path)
    folder = spool.keep("1.2.3", b"abc").parent
    os.utime(folder, (time.time() - 100, time.time() - 100))
    old = next(spool.studies()).last_arrival
    spool.keep("1.2.3", b"abd")
    assert next(spool.studies()).last_arrival > old + 90
