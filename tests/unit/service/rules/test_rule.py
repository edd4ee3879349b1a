import pytest

from lnc_dicom.errors import BadRules
from lnc_dicom.outputs import Output
from lnc_service.rules.rule import Measured, Priority, Rule, read_rules, rule_of

RULES = """
[[rule]]
name = "Adults from the 3 T"
when.sent_by = ["MR3T*"]
when.age_at_least = 18
leave_out_series = ["*localizer*"]
measure = ["volumes", "fa"]
send = [{ to = "PACS", objects = ["seg", "sr"] }]
priority = "stat"
wait = { for_series = ["*ASL*"], up_to_minutes = 20 }

[[rule]]
name = "Everything else"
"""


def test_a_file_of_rules_is_read_as_it_is_written():
    first, second = read_rules(RULES, ["PACS", "ARCHIVE"]).rule
    assert (first.measure, first.priority) == ((Measured.VOLUMES, Measured.FA), Priority.STAT)
    assert (first.wait.for_series, first.wait.up_to_minutes) == (("*ASL*",), 20)
    assert first.gets("PACS", (Output.PDF,)) == (Output.SEG, Output.SR)
    assert first.gets("ARCHIVE", (Output.PDF,)) == ()
    assert second.gets("ARCHIVE", (Output.PDF,)) == (Output.PDF,)
    assert second.measure == tuple(Measured)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "rule"),
        ("[[rule]\n", "TOML"),
        ('[[rule]]\nname = "a"\nwhen.sent_from = ["X"]', "rule.0.when.sent_from"),
        ('[[rule]]\nname = "a"\nwhen.sent_by = []', "rule.0.when.sent_by"),
        ('[[rule]]\nname = "a"\nmeasure = ["fa"]', "volumes"),
        ('[[rule]]\nname = "a"\nsend = [{ to = "NOBODY" }]', "NOBODY; the settings name PACS"),
        ('[[rule]]\nname = "a"\nsend = [{ to = "PACS" }, { to = "PACS" }]', "twice"),
        ('[[rule]]\nname = "a"\nwhen.modality = ["MR"]\n[[rule]]\nname = "a"', "same name"),
        ('[[rule]]\nname = "a"\n[[rule]]\nname = "b"', "never reached"),
        ('[[rule]]\nname = "a"\nwhen.age_at_least = 18\nwhen.age_below = 18', "no age"),
    ],
)
def test_a_wrong_rule_is_refused_and_the_complaint_says_where(text, complaint):
    with pytest.raises(BadRules, match=complaint):
        read_rules(text, ["PACS"])


def test_a_rule_is_written_down_and_read_again():
    for rule in read_rules(RULES, ["PACS"]).rule:
        assert rule_of(rule.as_text()) == rule
    assert rule_of("") is None
    assert rule_of(Rule(name="nothing", measure=()).as_text()).measure == ()
