"""The canary: a patient called CANARY is received, measured, rejected and crashed over, and never reaches a log."""

import json
import subprocess
import sys

import pydicom

from lnc_service.demo.main import ARCHIVE_AE_TITLE, embedded_archive
from tests.acceptance.conftest import Service, wait_for
from tests.factories import head, layout, phantom, write_series


def _canary(dataset):
    dataset.PatientName = "CANARY^TWEETY"
    dataset.PatientID = "CANARY-4711"
    dataset.AccessionNumber = "CANARY1"
    dataset.PatientComments = "CANARY sings"
    dataset.StudyDescription = "CANARY study"
    dataset.PatientBirthDate = "19700101"


def _invalid(dataset):
    """Values that make pydicom and highdicom complain, quoting them."""
    _canary(dataset)
    dataset.add_new("PatientBirthDate", "LO", "CANARY19")
    dataset["PatientBirthDate"].VR = "LO"


def _logs_of(service):
    return service.log.read_text()


def test_the_services_log_never_holds_a_patient(tmp_path, program):
    (tmp_path / "archive").mkdir()
    with embedded_archive(tmp_path / "archive") as port:
        service = Service(tmp_path, port, title=ARCHIVE_AE_TITLE)
        service.start()
        try:
            write_series(tmp_path / "phantom", *layout(*phantom(), (2, 1, 0), (1, 1, 1)), change=_canary)
            write_series(tmp_path / "gap", *layout(*head(), (2, 1, 0), (1, 1, 1)), change=_invalid)[20].unlink()
            for name in ("phantom", "gap"):
                service.send(program("storescu"), tmp_path / name)
            jobs = wait_for(lambda: service.finished(2), 60)
        finally:
            service.stop()
    assert '"finished"' in _logs_of(service)
    assert "CANARY" not in _logs_of(service)
    assert "CANARY" not in repr(jobs)
    names = [str(p.relative_to(tmp_path)) for p in service.spool.rglob("*")]
    assert not any("CANARY" in name for name in names)
    database = (service.spool / "workflows.sqlite").read_bytes()
    assert b"CANARY" not in database
    assert {line["event"] for line in service.lines()} >= {"complete", "finished"}  # every line is JSON


def test_errors_of_every_dependency_are_withheld_at_every_level():
    """Each library is made to complain about a patient, in a traceback and in words, with everything logged."""
    script = """
import io, logging, warnings
from lnc_service.logs import log, start_logging
start_logging(logging.DEBUG)
import dbos, highdicom, pydicom, pynetdicom, sqlalchemy, SimpleITK
for name in set(logging.root.manager.loggerDict) - {"lnc"}:
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.debug("CANARY %s", "CANARY")
    logger.error("CANARY", extra={"job": "CANARY"})
logging.getLogger().setLevel(logging.DEBUG)
for fails in (
    lambda: pydicom.dcmread(io.BytesIO(b"CANARY" * 100)),
    lambda: pydicom.valuerep.DA("CANARY"),
    lambda: highdicom.sr.CodedConcept("CANARY" * 9, "CANARY" * 9, ""),
    lambda: sqlalchemy.create_engine("sqlite://").connect().execute(sqlalchemy.text("CANARY")),
    lambda: SimpleITK.ReadImage("CANARY"),
):
    try:
        fails()
    except Exception:
        log.exception("failed")
warnings.warn("CANARY")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 0
    assert sum(line["event"] == "failed" for line in lines) >= 4
    assert any(line["event"] == "withheld" for line in lines)
    assert "CANARY" not in done.stdout + done.stderr


def test_the_command_never_prints_a_patient(tmp_path):
    paths = write_series(tmp_path / "gap", change=_canary)
    paths[20].unlink()
    dataset = pydicom.dcmread(paths[0])
    assert "CANARY" in str(dataset.PatientName)
    command = [sys.executable, "-c", "from lnc_service.cli import main; main()", "process"]
    command += [str(tmp_path / "gap"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "LNC-105" in done.stderr
    assert "CANARY" not in done.stdout + done.stderr
    assert "CANARY" not in (tmp_path / "out" / "result.json").read_text()


def test_a_crash_of_the_command_prints_frames_and_no_message(tmp_path):
    script = "import sys, lnc_service.cli as c\ndef bang(*a, **k): raise RuntimeError('CANARY')\nc.app = bang\nc.main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "LNC-300" in done.stderr
    assert "RuntimeError" in done.stderr
    assert "CANARY" not in done.stdout + done.stderr
