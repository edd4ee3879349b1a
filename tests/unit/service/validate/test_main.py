import subprocess
import sys

import pydicom
import pytest

from lnc_dicom.errors import PathMissing
from lnc_service.validate.external import EDITION, PROGRAMS, Program, ask, find_program
from lnc_service.validate.main import validate
from lnc_service.validate.messages import Severity
from tests.broken_objects import not_marked_as_research, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    for name, dataset in written(tmp_path_factory.mktemp("study")).items():
        dataset.save_as(folder / name)
    return folder


def _lnc(*arguments):
    command = [sys.executable, "-c", "from lnc_service.cli import main; main()", "validate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_we_write_is_clean_and_exit_is_0(folder):
    done = _lnc(*sorted(folder.glob("*.dcm")))
    assert done.returncode == 0, done.stdout
    assert "measurements.dcm: lnc-dicom: clean" in done.stdout


def test_an_error_is_explained_and_exit_is_1(folder, tmp_path):
    broken = pydicom.dcmread(folder / "summary.dcm")
    not_marked_as_research(broken)
    broken.save_as(tmp_path / "broken.dcm")
    done = _lnc(tmp_path / "broken.dcm")
    assert done.returncode == 1
    assert "broken.dcm: lnc-dicom: errors" in done.stdout
    assert "Mark the object as research." in done.stdout


def test_what_validators_quote_of_a_patient_is_not_printed(folder, tmp_path):
    for name in ("measurements.dcm", "segmentation.dcm", "summary.dcm"):
        quoted = pydicom.dcmread(folder / name)
        quoted.PatientName, quoted.PatientID, quoted.PatientSex = "CANARY", f"CANARY {name[0]}", "CANARY"
        quoted.save_as(tmp_path / name)
    done = _lnc(*sorted(tmp_path.glob("*.dcm")))
    assert "CANARY" not in done.stdout + done.stderr
    if find_program("dciodvfy"):
        assert done.returncode == 1  # CANARY is no sex
        assert "known: Warning - Value dubious for this VR" in done.stdout


def test_a_file_that_is_missing_is_a_matter_of_usage(tmp_path):
    assert _lnc(tmp_path / "none.dcm").returncode == 2
    with pytest.raises(PathMissing):
        validate([tmp_path / "none.dcm"])


def test_what_is_no_dicom_object_is_an_error(tmp_path):
    (tmp_path / "text.dcm").write_text("nothing")
    (finding,) = validate([tmp_path / "text.dcm"])
    assert not finding.clean


def test_a_program_that_is_not_there_is_said_to_be_not_there(folder):
    for finding in validate([folder / "measurements.dcm"]):
        if finding.program != "lnc-dicom":
            assert bool(finding.not_run) == (find_program(finding.program) is None or finding.program == EDITION.name)


def test_an_exit_status_and_a_line_that_counts_are_kept(folder):
    script = "import sys; print('W: one'); print('two'); sys.exit(3)"
    program = Program("python", ("-c", script), "^W:")
    assert ask(program, sys.executable, [folder / "summary.dcm"]) == ["W: one", "exit status 3"]


def test_new_warnings_count_against_our_own_objects_only(folder, tmp_path):
    other = pydicom.dcmread(folder / "summary.dcm")
    other.Manufacturer = "another"
    other.save_as(tmp_path / "other.dcm")
    ours, theirs = (
        {f.program: f.fails for f in validate([file]) if not f.not_run}
        for file in (folder / "summary.dcm", tmp_path / "other.dcm")
    )
    assert ours["lnc-dicom"] == (Severity.ERROR, Severity.NEW)
    if "dciodvfy" in ours:
        assert Severity.NEW in ours["dciodvfy"]
        assert Severity.NEW not in theirs["dciodvfy"]


def test_every_program_has_a_name_of_its_own():
    assert len({p.name for p in (*PROGRAMS, EDITION)}) == len(PROGRAMS) + 1


_VALIDATE_IODS = """#!/bin/sh
echo 'SOP class is "1.2.840.10008.5.1.4.1.1.7" (SC)'
echo 'Module "Nothing":'
echo 'Tag (0010,0999) (Nobody Has It) is missing'
exit 1
"""
"""What dicom-validator 0.9.0 prints for an edition with one module of one attribute."""


@pytest.mark.parametrize("whole", [True, False])
def test_dicom_validator_is_asked_where_a_whole_edition_is_given(folder, tmp_path, monkeypatch, whole):
    docbook = tmp_path / "2024a" / "docbook"
    docbook.mkdir(parents=True)
    for part in (3, 4, 6)[: 3 if whole else 2]:
        (docbook / f"part0{part}.xml").touch()
    fake = tmp_path / EDITION.name
    fake.write_text(_VALIDATE_IODS)
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))  # programs are looked for beside the interpreter
    (finding,) = (f for f in validate([folder / "summary.dcm"], tmp_path) if f.program == EDITION.name)
    assert finding.clean != whole
    assert bool(finding.not_run) != whole
    assert [m.text for m in finding.messages] == (["Tag (0010,0999)"] if whole else [])
