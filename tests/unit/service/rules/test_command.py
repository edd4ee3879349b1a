import pytest
from typer.testing import CliRunner

from lnc_service.cli import app
from lnc_service.spool import Spool
from tests.factories import write_series


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Spool(tmp_path / "spool").prepare()
    (tmp_path / "lnc.toml").write_text('spool = "spool"\nrules = "rules.toml"\n[pacs]\nhost = "x"\nae_title = "PACS"\n')
    (tmp_path / "rules.toml").write_text('[[rule]]\nname = "everything"\n')
    return tmp_path


def _run(*arguments):
    return CliRunner().invoke(app, ["rules", *arguments])


def test_rules_are_tried_on_a_folder_before_they_go_live(site):
    write_series(site / "study")
    (site / "new.toml").write_text('[[rule]]\nname = "CT only"\nwhen.modality = ["CT"]\n')
    assert "study: everything" in _run("test", "study").stdout
    tried = _run("test", "study", "--rules", "new.toml")
    assert "study: no rule" in tried.stdout
    assert "modality: MR (not CT)" in tried.stdout
    assert _run("test").stdout.strip() == "0 studies, 0 under another rule than before"


def test_the_rules_in_force_are_printed_and_what_is_wrong_with_a_newer_file(site):
    assert "everything" in _run("show").stdout
    (site / "rules.toml").write_text("nonsense")
    found = _run("show")
    assert found.exit_code == 2
    assert "everything" in found.stdout
    assert "LNC-540" in found.stderr


def test_without_rules_there_is_nothing_to_try(site):
    (site / "lnc.toml").write_text('spool = "spool"\n[pacs]\nhost = "x"\nae_title = "PACS"\n')
    assert "no rules" in _run("show").stdout
    assert "LNC-540" in _run("test").stderr
