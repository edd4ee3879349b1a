import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lnc_service.arriving import Arriving, is_abandoned, is_torn


@pytest.fixture
def folders(tmp_path):
    arriving, kept = tmp_path / "arriving", tmp_path / "kept"
    arriving.mkdir()
    kept.mkdir()
    return arriving, kept


def test_a_kept_object_has_all_its_fragments_and_is_named_by_their_digest(folders):
    arriving, kept = folders
    item = Arriving(arriving)
    for fragment in (b"ab", memoryview(b"c"), b""):
        item.write(fragment)
    assert item.size == 3
    path = item.keep(kept)
    assert path.read_bytes() == b"abc"
    assert path.name == f"{hashlib.sha256(b'abc').hexdigest()}.dcm"
    item.discard()
    assert path.exists()
    assert not list(arriving.iterdir())


def test_file_and_folder_are_synced_before_keeping_ends_and_after_the_last_byte_and_the_name(folders, monkeypatch):
    arriving, kept = folders
    events, real = [], {name: getattr(os, name) for name in ("write", "fsync")}

    def write(descriptor, data):
        events.append("write")
        return real["write"](descriptor, data)

    def fsync(descriptor):
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        real["fsync"](descriptor)
        events.append("folder" if target == kept else "file" if target.parent == kept else target)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "fsync", fsync)
    item = Arriving(arriving)
    item.write(b"abc")
    item.keep(kept)
    events.append("kept")
    assert events[0] == "write"
    assert sorted(events[1:3]) == ["file", "folder"]
    assert events[3:] == ["kept"]


@pytest.mark.parametrize("failing", ["file", "folder"])
def test_an_object_that_cannot_be_synced_is_not_kept(folders, monkeypatch, failing):
    arriving, kept = folders
    real = os.fsync

    def fsync(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").is_dir() == (failing == "folder"):
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    item = Arriving(arriving)
    item.write(b"abc")
    with pytest.raises(OSError, match="Input/output"):
        item.keep(kept)
    item.discard()


def test_a_discarded_object_leaves_nothing(folders):
    arriving, _ = folders
    item = Arriving(arriving)
    item.write(b"abc")
    item.discard()
    item.discard()
    assert not list(arriving.iterdir())


def test_others_may_not_read_what_arrives(folders):
    arriving, kept = folders
    old = os.umask(0)
    try:
        item = Arriving(arriving)
        assert item.path.stat().st_mode & 0o777 == 0o600
        assert item.keep(kept).stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)


def test_a_file_that_lost_bytes_is_torn(folders):
    arriving, kept = folders
    item = Arriving(arriving)
    item.write(b"abc")
    path = item.keep(kept)
    assert not is_torn(path)
    path.write_bytes(b"ab")
    assert is_torn(path)
    path.unlink()
    assert not is_torn(path)


def test_a_part_is_abandoned_when_the_process_that_wrote_it_has_ended(folders):
    arriving, _ = folders
    script = "import os; from pathlib import Path; from lnc_service.arriving import Arriving; "
    script += f"Arriving(Path({str(arriving)!r})).write(b'abc'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", script], check=False)
    (left,) = arriving.iterdir()
    item = Arriving(arriving)
    assert is_abandoned(left)
    assert not is_abandoned(item.path)
    item.discard()
    assert not is_abandoned(item.path)
