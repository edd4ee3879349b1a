import pytest

from lnc_dicom.errors import UnusableInput
from lnc_service.manifest import Closed, close_study
from lnc_service.rules.rehearse import explain, rehearse
from lnc_service.rules.rule import read_rules
from lnc_service.rules.verdict import verdict_on
from lnc_service.settings import Settings
from lnc_service.spool import Spool
from tests.factories import write_series

OLD = read_rules('[[rule]]\nname = "old"', ["PACS"])
NEW = read_rules(
    '[[rule]]\nname = "CT"\nwhen.modality = ["CT"]\n[[rule]]\nname = "new"\nmeasure = ["volumes"]\n'
    'wait = { for_series = ["*asl*"], up_to_minutes = 20 }',
    ["PACS"],
)


@pytest.fixture
def settings(tmp_path):
    Spool(tmp_path / "spool").prepare()
    return Settings(spool=tmp_path / "spool", pacs={"host": "x", "ae_title": "PACS"})


def _receive(settings, tmp_path):
    spool = Spool(settings.spool)
    return spool, spool.keep("1.2.3", write_series(tmp_path / "study")[0].read_bytes()).parent.name


def test_every_study_in_the_spool_is_held_against_new_rules(settings, tmp_path):
    spool, key = _receive(settings, tmp_path)
    (open_,) = rehearse(settings, NEW)
    assert (open_.study, open_.now, open_.before, open_.changes) == (spool.study_name(key), "new", "", False)
    close_study(spool, key, Closed.QUIET, "now", verdict_on(spool, key, OLD))
    (closed,) = rehearse(settings, NEW)
    assert (closed.before, closed.now, closed.changes) == ("old", "new", True)
    assert not next(rehearse(settings, OLD)).changes


def test_folders_and_studies_of_the_spool_are_named_alike_and_others_are_refused(settings, tmp_path):
    spool, key = _receive(settings, tmp_path)
    for name in (str(tmp_path / "study"), spool.study_name(key), f"{spool.study_name(key)}-0123456789ab"):
        assert next(rehearse(settings, NEW, [name])).now == "new"
    (tmp_path / "empty").mkdir()
    for name in ("nothing", str(tmp_path / "empty")):
        with pytest.raises(UnusableInput):
            list(rehearse(settings, NEW, [name]))


def test_it_is_said_aloud_what_would_happen_and_why(settings, tmp_path):
    (found,) = rehearse(settings, NEW, [str(write_series(tmp_path / "study")[0])])
    text = "\n".join(explain(found.decision, settings))
    assert "rule 'CT' does not fit: modality: MR (not CT)" in text
    assert "rule 'new' fits: it fits every study" in text
    assert "measured: volumes, of" in text
    assert "PACS gets seg, sr, summary\n" in text
    assert "waits for *asl*, up to 20 minutes; missing now: *asl*" in text


def test_it_is_said_why_a_study_would_not_be_measured(settings, tmp_path):
    path = str(write_series(tmp_path / "study")[0])
    for rest, code in (('when.modality = ["CT"]', "LNC-542"), ("measure = []", "LNC-541")):
        rules = read_rules(f'[[rule]]\nname = "a"\n{rest}', ["PACS"])
        (found,) = rehearse(settings, rules, [path])
        assert code in explain(found.decision, settings)[-1]
