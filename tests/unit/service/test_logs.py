import json
import subprocess
import sys

from lnc_service.logs import FIELDS

_START = "import logging, sys, threading, warnings\nfrom lnc_service.logs import log, start_logging\nstart_logging()\n"


def _lines(script):
    """Run a script in a process of its own; what it logged, line by line."""
    done = subprocess.run([sys.executable, "-c", _START + script], capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_an_event_prints_its_allowed_fields_only():
    (line,) = _lines("log.info('stage', extra={'job': 'j1', 'seconds': 1.5, 'patient': 'CANARY'})")
    assert line["event"] == "stage"
    assert (line["job"], line["seconds"]) == ("j1", 1.5)
    assert "patient" not in line


def test_text_of_other_libraries_is_withheld():
    found = _lines(
        "import pydicom, dbos, pynetdicom, highdicom\n"
        "for name in ('pydicom', 'dbos', 'pynetdicom.acse', 'highdicom.base', 'anything'):\n"
        "    logging.getLogger(name).error('Invalid value CANARY')\n"
        "warnings.warn('CANARY again')"
    )
    assert len(found) == 6
    assert all(line["event"] == "withheld" for line in found)
    assert "CANARY" not in json.dumps(found)


def test_a_traceback_keeps_frames_and_loses_its_message():
    (line,) = _lines("try:\n    int('CANARY')\nexcept ValueError:\n    log.exception('failed')")
    assert line["error"] == "ValueError"
    assert line["frames"]
    assert "CANARY" not in json.dumps(line)


def test_an_uncaught_error_loses_its_message_in_threads_too():
    found = _lines(
        "thread = threading.Thread(target=lambda: int('CANARY'))\n"
        "thread.start()\nthread.join()\nraise KeyError('CANARY')"
    )
    assert [line["event"] for line in found] == ["crashed", "crashed"]
    assert "CANARY" not in json.dumps(found)


def test_a_value_that_is_not_json_is_withheld():
    (line,) = _lines("log.info('stage', extra={'job': object(), 'x': 'CANARY'})")
    assert (line["event"], line["job"]) == ("stage", "withheld")


def test_no_allowed_field_is_free_text():
    assert not {"name", "patient", "text", "message", "path", "uid", "study", "series"} & set(FIELDS)


def test_an_uncaught_error_that_needs_arguments_is_logged_too():
    (line,) = _lines("b'CANARY'.decode('utf-16-be') and b'\\xff'.decode()")
    assert (line["event"], line["error"]) == ("crashed", "UnicodeDecodeError")


def test_the_engine_prints_nothing_of_its_own(tmp_path):
    found = _lines(
        "import dbos\n"
        f"url = 'sqlite:///{tmp_path}/w.sqlite'\n"
        "dbos.DBOS(config={'name': 'lnc', 'system_database_url': url, 'log_level': 'DEBUG'})\n"
        "dbos.DBOS.launch()\n"
        "logging.getLogger('dbos').error('CANARY')\n"
        "dbos.DBOS.destroy()"
    )
    assert found
    assert all(line["event"] == "withheld" for line in found)


def test_lines_of_a_child_are_printed_if_they_are_events_of_ours():
    found = _lines(
        "from lnc_service.logs import relay\n"
        "relay(['{\"event\": \"stage\"}', 'terminate called: CANARY', '[\"CANARY\"]'], 'compute')"
    )
    assert [line["event"] for line in found] == ["stage", "withheld", "withheld"]
    assert found[1]["program"] == "compute"
    assert "CANARY" not in json.dumps(found)
