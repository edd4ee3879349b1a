"""Header → whether a contrast agent was given before the images.

The attribute for it is typed by hand or left from the protocol: words of negation are no agent, and where it is empty
the description may tell.
"""

from __future__ import annotations

import re

from pydicom import Dataset

from lnc_dicom.study.header_text import plain_text, values_of
from lnc_dicom.study.values import items_of, numbers

_NEGATIONS = {
    *(
        "no",
        "none",
        "non",
        "not",
        "n",
        "na",
        "nil",
        "nill",
        "null",
        "false",
        "plain",
        "negative",
        "pre",
        "非造影",
        "平扫",
    ),
    *(
        "without",
        "wo",
        "unenhanced",
        "noncontrast",
        "ohne",
        "kein",
        "keine",
        "keins",
        "nein",
        "sans",
        "aucun",
        "aucune",
    ),
    *("sin", "ninguno", "ninguna", "nada", "sem", "nenhum", "senza", "nessuno", "nessun", "geen", "zonder", "nej"),
    *("ingen", "inget", "uten", "utan", "uden", "ei", "bez", "brak", "zadny", "yok", "нет", "без", "無", "なし", "无"),
}
_AGENT = (
    r"(?:gd\w*|gad\w*|contrast\w*|contraste|kontrast\w*|km|kmi|mdc|mdk|pdc|pc|inj\w*|iniez\w*|inyecc\w*|produit|"
    r"dotarem|magnevist|omniscan|prohance|multihance|clariscan|elucirem|vueway|dotagraf|artirem|magnescope)"
)
_BEFORE = (
    r"(?:pre|before|vor|avant|antes|prima|przed|voor|w ?/ ?o|wo|without|ohne|sans|sin|sem|senza|zonder|uten|utan|bez|"
    r"no|non|kein|keine|nativ\w*|unenhanced|minus|-)"
)
_AFTER = r"(?:post|after|nach|n|apres|despues|apos|dopo|po|na|efter|with|w|mit|m|avec|con|com|met|med|iv)"
_JOINT = r"[\s./:-]*(?:de |di |of |the |iv |i\.v\. )?"
_NONE_GIVEN = re.compile(
    rf"(?<![\w]){_BEFORE}{_JOINT}{_AGENT}(?!\w)|(?<!\w)(?:non|un)[ -]?enhanced|(?<![\w+])-\s?c(?!\w)"
)
_GIVEN = re.compile(
    rf"(?<!\w){_AFTER}{_JOINT}{_AGENT}(?!\w)|"
    r"\+\s*c(?!\w)|(?<!\w)c\s*\+|\+\s*(?:gd|gad|km|k|contrast|kontrast|kontr|mdc|ce)|"
    r"(?<!\w)(?:gd|gado?\w*|km|mdc|ce|kontrast\w*|contrast\w*|contraste)(?!\w)|"
    r"(?<!\w)t1\w*(?:ce|gd|gad|km)(?!\w)|(?<!\w)t1c(?!\w)|(?<!\w)t1w?\s*\+\s*(?:$|\))|"
    r"(?<!\w)(?:post|postcontrast|postgd|postgad\w*|postkm|postgado)(?![\w-])"
    r"(?!\s?(?:op|surg|proc|treat|ict|traum|ther|rt\b|radi|chemo))|"
    r"дотарем|гадовист|(?<!\w)\u0441 контраст|造影"  # \u0441: the Cyrillic letter for "with"
)
_VOLUMES = ("ContrastBolusVolume", "ContrastBolusTotalDose")


def agent_given(header: Dataset) -> bool:
    """Whether a contrast agent was given: by attribute, by the dose, by the sequence of agents, or by the description.

    "NONE", "ohne KM", "0" and their like in Contrast/Bolus Agent say that there was none, whatever else is filled in.
    """
    named = plain_text(header, "ContrastBolusAgent")
    if _is_negated(named) or _administered(header) == "NO":
        return False
    if _is_filled(named) or _has_agent_item(header) or any(v > 0 for n in _VOLUMES for v in numbers(header, n)):
        return True
    return agent_described(plain_text(header, "SeriesDescription", "ProtocolName"))


def agent_described(text: str) -> bool:
    """Whether a plain text says that an agent was given: "+c", "post km", "t1 gd"; "pre gd" and "ohne km" do not."""
    return bool(_GIVEN.search(_NONE_GIVEN.sub(" ", text)))


def _is_negated(text: str) -> bool:
    words = re.findall(r"[^\W\d_]+", text.replace("non-ionic", ""))
    return bool(_NEGATIONS & set(words)) or any(w.startswith(("nativ", "натив")) for w in words) or "w/o" in text


def _is_filled(text: str) -> bool:
    """Whether something is there: a letter that is no placeholder, or a number above zero."""
    words = re.findall(r"[^\W_]+", text)
    return any(not re.fullmatch(r"0+|0*m[lg]|cc|mmol|x+|unknown|unk|undefined|unspecified", word) for word in words)


def _has_agent_item(header: Dataset) -> bool:
    items = items_of(header, "ContrastBolusAgentSequence")
    return any(len(item) and not _is_negated(plain_text(item, "CodeMeaning")) for item in items)


def _administered(header: Dataset) -> str:
    """Give Contrast/Bolus Agent Administered of the shared functional groups (PS3.3 C.8.13.5.12), "" without it."""
    groups = items_of(header, "SharedFunctionalGroupsSequence")
    usages = (usage for group in groups for usage in items_of(group, "ContrastBolusUsageSequence"))
    return next((text for usage in usages for text in values_of(usage, "ContrastBolusAgentAdministered")), "")
