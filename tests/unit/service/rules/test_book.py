import pytest

from lnc_dicom.errors import BadRules
from lnc_service.rules.book import RuleBook
from lnc_service.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(spool=tmp_path, rules=tmp_path / "site.toml", pacs={"host": "x", "ae_title": "PACS"})


def _write(settings, name):
    new = settings.rules.with_suffix(".new")
    new.write_text(f'[[rule]]\nname = "{name}"\n' if name else "nonsense")
    new.replace(settings.rules)


def test_without_a_file_there_are_no_rules(tmp_path):
    assert RuleBook(Settings(spool=tmp_path, pacs={"host": "x", "ae_title": "PACS"})).now().rules is None


def test_a_file_that_changes_is_read_without_a_restart_and_a_wrong_one_changes_nothing(settings):
    _write(settings, "one")
    book = RuleBook(settings)
    assert book.now().rules.rule[0].name == "one"
    _write(settings, "two")
    assert book.now().rules.rule[0].name == "two"
    _write(settings, "")
    assert book.now().rules.rule[0].name == "two"
    assert "TOML" in book.now().refused
    _write(settings, "three")
    assert (book.now().rules.rule[0].name, book.now().refused) == ("three", "")
    settings.rules.unlink()
    assert book.now().rules.rule[0].name == "three"
    assert book.now().refused


def test_a_worker_that_starts_while_the_file_is_wrong_works_by_the_rules_before(settings):
    _write(settings, "one")
    RuleBook(settings)
    _write(settings, "")
    found = RuleBook(settings).now()
    assert found.rules.rule[0].name == "one"
    assert found.refused


def test_without_rules_from_before_a_wrong_file_is_an_error(settings):
    _write(settings, "")
    with pytest.raises(BadRules):
        RuleBook(settings)
