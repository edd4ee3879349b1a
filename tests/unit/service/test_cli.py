import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from lnc_service import cli, jobs
from lnc_service.jobs import Delivery, Job
from lnc_service.states import JobState

JOB = Job(
    "abc-1",
    JobState.FAILED,
    datetime(2026, 1, 2, tzinfo=UTC),
    192,
    "LNC-202",
    "one is refused",
    "look",
    (Delivery("PACS", JobState.FAILED, 2, 1, 0, "LNC-202"), Delivery("ARCHIVE", JobState.DONE, 3, 0, 0)),
)


@pytest.fixture
def lnc(tmp_path, monkeypatch):
    (tmp_path / "lnc.toml").write_text(f'spool = "{tmp_path}"\n[pacs]\nhost = "pacs.example"\nae_title = "PACS"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(cli.app, arguments)


def test_a_list_shows_every_job_and_the_destinations_that_lack_something(lnc, monkeypatch):
    monkeypatch.setattr(jobs, "list_jobs", lambda *_: [JOB])
    shown = lnc("jobs", "list").stdout
    for text in ("abc-1", "FAILED", "LNC-202", "PACS: 2 stored, 1 refused, 0 waiting"):
        assert text in shown
    assert "ARCHIVE" not in shown


def test_a_list_shows_why_a_destination_refused_and_what_it_got_in_another_class(lnc, monkeypatch):
    instead = (("measurements.dcm", "Comprehensive SR Storage"),)
    deliveries = (
        Delivery("A", JobState.FAILED, 2, 1, 0, "LNC-202", "A refused one"),
        Delivery("B", JobState.DONE, 3, 0, 0, instead=instead),
    )
    monkeypatch.setattr(jobs, "list_jobs", lambda *_: [replace(JOB, deliveries=deliveries)])
    shown = " ".join(lnc("jobs", "list").stdout.replace("│", " ").split())
    assert "A: 2 stored, 1 refused, 0 waiting; A refused one" in shown
    assert "measurements.dcm as Comprehensive SR Storage" in shown


def test_a_list_as_json_is_one_job_a_line_with_every_destination(lnc, monkeypatch):
    monkeypatch.setattr(jobs, "list_jobs", lambda *_: [JOB])
    (line,) = lnc("jobs", "list", "--json").stdout.splitlines()
    found = json.loads(line)
    assert (found["name"], found["state"], found["since"]) == ("abc-1", "FAILED", "2026-01-02T00:00:00+00:00")
    assert [d["destination"] for d in found["deliveries"]] == ["PACS", "ARCHIVE"]


def test_states_and_the_text_that_is_looked_for_reach_the_search(lnc, monkeypatch):
    asked = []
    monkeypatch.setattr(jobs, "list_jobs", lambda settings, states, find: asked.append((states, find)) or [])
    lnc("jobs", "list", "--state", "FAILED", "--state", "REJECTED", "--find", "A1")
    assert asked == [((JobState.FAILED, JobState.REJECTED), "A1")]


def test_a_job_that_is_not_there_is_a_mistake_of_the_command(lnc):
    for command in ("show", "retry"):
        done = lnc("jobs", command, "nothing")
        assert done.exit_code == 2


@pytest.mark.parametrize("word", ["close", "discard"])
def test_workers_are_asked_to_close_or_to_discard_a_study(lnc, monkeypatch, word):
    asked = []
    monkeypatch.setattr(jobs, "ask", lambda settings, name, what: asked.append((name, what.value)) or "abc")
    assert lnc("jobs", word, "ab").stdout == f"asked the workers to {word} abc\n"
    assert asked == [("ab", word)]


def test_settings_in_force_are_printed_and_wrong_ones_are_named(lnc, tmp_path):
    assert json.loads(lnc("config", "show").stdout)["pacs"]["host"] == "pacs.example"
    (tmp_path / "lnc.toml").write_text("colour = 1\n")
    assert lnc("config", "show").exit_code == 2


def test_the_processes_that_receive_and_supervise_never_load_torch():
    script = (
        "import sys, lnc_service.app, lnc_service.receiver.receive, lnc_service.cli; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_spool_shows_what_lies_there_and_why(lnc, tmp_path):
    (tmp_path / "received" / "abc").mkdir(parents=True)
    (tmp_path / "received" / "abc" / "1.dcm").write_bytes(b"x" * 1_500_000)
    shown = lnc("spool").stdout
    for text in ("images", "not measured yet", "1.5"):
        assert text in shown
