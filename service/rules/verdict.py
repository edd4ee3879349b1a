"""What rules say of a study in the spool, as its manifest keeps it."""

from __future__ import annotations

from lnc_service.manifest import Verdict
from lnc_service.rules.decide import Decision, decide
from lnc_service.rules.facts import facts_of
from lnc_service.rules.rule import Rules
from lnc_service.spool import Spool


def verdict_on(spool: Spool, key: str, rules: Rules) -> Verdict:
    """Decide about what lies in the folder of a study now."""
    return verdict_of(decide(rules, facts_of(sorted((spool.received / key).glob("*.dcm")))))


def verdict_of(decision: Decision) -> Verdict:
    """Give what a manifest keeps of a decision."""
    left_out = frozenset(name for series in decision.left_out for name in series.files)
    text = decision.rule.as_text() if decision.rule is not None else ""
    return Verdict(text, decision.missing, left_out)
