import json

import pytest
from typer.testing import CliRunner

from lnc_service.cli import app
from lnc_service.settings import load_settings


@pytest.fixture
def lnc(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, typed="": CliRunner().invoke(app, ["config", *arguments], input=typed)


def test_five_answers_write_settings_and_a_file_that_is_there_stays(lnc, tmp_path):
    answers = f"LNC\n127.0.0.1:1\nPACS\n{tmp_path / 'spool'}\n\n"
    assert lnc("init", typed=answers).exit_code == 0
    assert load_settings().pacs.port == 1
    again = lnc("init", typed=answers)
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    assert lnc("init", "--force", typed=answers).exit_code == 0


def test_a_check_says_of_everything_how_it_is_and_fails_where_something_is_wrong(lnc, tmp_path):
    lnc("init", typed=f"LNC\n127.0.0.1:1\nPACS\n{tmp_path / 'spool'}\n\n")
    found = lnc("check")
    assert found.exit_code == 1
    assert "wrong    destination PACS: no association with port 1" in found.stdout
    assert "spool: " in found.stdout
    assert "clock: " in found.stdout


def test_settings_are_shown_without_the_password_of_the_database(lnc, monkeypatch):
    lnc("init", typed="LNC\npacs\nPACS\nspool\n\n")
    monkeypatch.setenv("LNC_DATABASE_URL", "postgresql://lnc:secret@db/lnc")
    shown = lnc("show").stdout
    assert json.loads(shown)["database_url"] == "postgresql://lnc:***@db/lnc"
