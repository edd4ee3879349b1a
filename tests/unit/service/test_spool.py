from lnc_service.spool import Spool


def _spool(tmp_path):
    spool = Spool(tmp_path)
    spool.prepare()
    spool.make_folders()
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


def test_half_written_files_are_swept(tmp_path):
    spool = _spool(tmp_path)
    folder = spool.keep("1.2.3", b"abc").parent
    (folder / "x.dcm.1.2.part").write_bytes(b"half")
    spool.prepare()
    assert not list(folder.glob("*.part"))


def test_a_worker_that_starts_never_touches_what_the_receiver_is_writing(tmp_path):
    spool = _spool(tmp_path)
    part = spool.keep("1.2.3", b"abc").parent / "x.dcm.1.2.part"
    part.write_bytes(b"half")
    spool.make_folders()
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
