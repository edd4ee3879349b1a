import math

import pytest

from lnc_service.rules.decide import decide
from lnc_service.rules.facts import SeriesFacts, StudyFacts
from lnc_service.rules.rule import read_rules

T1 = SeriesFacts("T1 MPRAGE sag", "MR", "BRAIN", frozenset({"a.dcm"}))
SCOUT = SeriesFacts("localizer", "MR", "BRAIN", frozenset({"b.dcm"}))
STUDY = StudyFacts(("MR3T",), ("LNC",), "Head, routine", 45.0, (T1, SCOUT))


def _decide(rest, facts=STUDY):
    return decide(read_rules(f'[[rule]]\nname = "a"\n{rest}\n', ["PACS"]), facts)


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ("", True),
        ('when.sent_by = ["mr3*"]', True),
        ('when.sent_by = ["MR15", "MR3T"]', True),
        ('when.sent_by = ["MR"]', False),
        ('when.called = ["LNC"]', True),
        ('when.study_description = ["*head*"]', True),
        ('when.series_description = ["*mprage*"]', True),
        ('when.series_description = ["*flair*"]', False),
        ('when.modality = ["CT"]', False),
        ('when.body_part = ["BRAIN", "HEAD"]', True),
        ("when.age_at_least = 45", True),
        ("when.age_below = 45", False),
        ('when.sent_by = ["MR3T"]\nwhen.modality = ["CT"]', False),
    ],
)
def test_a_rule_fits_where_every_condition_holds(when, fits):
    decision = _decide(when)
    assert (decision.rule is not None) is fits
    assert decision.tried[0].fits is fits


def test_an_age_that_is_not_said_fits_no_limit():
    unknown = StudyFacts(series=(T1,), age=math.nan)
    for limit in ("when.age_at_least = 0", "when.age_below = 121"):
        assert _decide(limit, unknown).rule is None


def test_the_first_rule_that_fits_counts_and_those_before_it_say_why_not():
    decision = _decide('when.modality = ["CT"]\n[[rule]]\nname = "b"\n[rule.when]\nmodality = ["MR"]')
    assert decision.rule.name == "b"
    assert [str(c) for t in decision.tried for c in t.conditions] == [
        "modality: MR (not CT)",
        "modality: MR (as wanted MR)",
    ]


def test_series_that_are_left_out_are_neither_used_nor_do_they_end_a_wait():
    decision = _decide(
        'leave_out_series = ["local*"]\nwait = { for_series = ["local*", "*asl*", "t1*"], up_to_minutes = 5 }'
    )
    assert (decision.used, decision.left_out) == ((T1,), (SCOUT,))
    assert decision.missing == ("local*", "*asl*")
