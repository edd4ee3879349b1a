from lnc_service.manifest import Closed, close_study, decide_anew, read_manifest
from lnc_service.rules.rule import read_rules
from lnc_service.rules.verdict import verdict_on
from lnc_service.spool import Spool
from tests.factories import write_series


def _spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    for path in write_series(tmp_path / "study", study_uid="1.2.3")[:2]:
        folder = spool.keep("1.2.3", path.read_bytes()).parent
    return spool, folder.name


def _close(spool, key, text):
    rules = read_rules(text, ["PACS"])
    return close_study(spool, key, Closed.QUIET, "now", verdict_on(spool, key, rules))


def test_a_study_keeps_the_rule_under_which_it_was_closed(tmp_path):
    spool, key = _spool(tmp_path)
    first = _close(spool, key, '[[rule]]\nname = "one"\npriority = "stat"')
    again = _close(spool, key, '[[rule]]\nname = "two"')
    assert again == first == read_manifest(spool.manifest(key, first.job))
    assert (first.applied.name, first.stat) == ("one", True)


def test_what_a_rule_leaves_out_is_not_measured_and_what_it_waited_for_is_noted(tmp_path):
    spool, key = _spool(tmp_path)
    manifest = _close(
        spool,
        key,
        '[[rule]]\nname = "a"\nleave_out_series = ["*"]\nwait = { for_series = ["*asl*"], up_to_minutes = 1 }',
    )
    assert (manifest.used, manifest.missing, len(manifest.objects)) == ((), ("*asl*",), 2)


def test_a_study_that_no_rule_wanted_is_decided_anew(tmp_path):
    spool, key = _spool(tmp_path)
    first = _close(spool, key, '[[rule]]\nname = "a"\nleave_out_series = ["*"]\nwhen.modality = ["CT"]')
    assert (first.rule, first.applied) == ("", None)
    rules = read_rules('[[rule]]\nname = "all"', ["PACS"])
    anew = decide_anew(spool, first, verdict_on(spool, key, rules))
    assert anew == read_manifest(spool.manifest(key, first.job))
    assert (anew.applied.name, len(anew.used), anew.made) == ("all", 2, first.made)
