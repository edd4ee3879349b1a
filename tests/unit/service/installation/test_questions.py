import pytest

from lnc_dicom.errors import BadSettings
from lnc_service.installation.questions import Answers, settings_text
from lnc_service.settings import load_settings

GOOD = {"ae_title": "LNC", "pacs": "pacs.example:11113", "pacs_ae_title": "PACS", "spool": "/srv/lnc"}


def test_five_answers_make_settings_that_load(tmp_path):
    (tmp_path / "lnc.toml").write_text(settings_text(Answers(**GOOD, senders="MR1, MR2")))
    found = load_settings(tmp_path / "lnc.toml")
    assert (found.listen.ae_title, found.listen.calling) == ("LNC", ("MR1", "MR2"))
    assert (found.pacs.host, found.pacs.port, found.pacs.ae_title) == ("pacs.example", 11113, "PACS")
    assert str(found.spool) == "/srv/lnc"


def test_without_a_port_it_is_that_of_dicom_and_without_senders_everybody_may_send():
    text = settings_text(Answers(**{**GOOD, "pacs": "pacs.example"}))
    assert "port = 104\n" in text
    assert "calling = []" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [("ae_title", "seventeen letters"), ("pacs", ":104"), ("pacs", "pacs:x"), ("pacs_ae_title", ""), ("pacs", "x:0")],
)
def test_an_answer_that_cannot_be_used_is_named_before_anything_is_written(name, value):
    with pytest.raises(BadSettings):
        settings_text(Answers(**{**GOOD, name: value}))


def test_quotes_in_an_answer_stay_in_it(tmp_path):
    (tmp_path / "lnc.toml").write_text(settings_text(Answers(**{**GOOD, "spool": '/srv/"x\\y'})))
    assert str(load_settings(tmp_path / "lnc.toml").spool) == '/srv/"x\\y'
