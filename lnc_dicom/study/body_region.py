"""Header → the part of the body that its images show, as far as words and codes tell.

People write these words in many languages and leave those of the last patient; so they only pass over what is certainly
elsewhere. The images decide the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from functools import cache

from pydicom import Dataset
from pydicom.sr._snomed_dict import mapping as snomed
from pydicom.sr.codedict import codes

from lnc_dicom.study.header_text import plain, plain_text, values_of
from lnc_dicom.study.values import items_of


class Region(Enum):
    """What a header says of the part of the body."""

    HEAD = "head"
    UNKNOWN = "nothing, or nothing clear"
    DOUBTFUL = "head and another part"
    ELSEWHERE = "another part"


_HEAD = re.compile(
    r"brain|head|skull|crani|encephal|encefal|cereb|cerve[al]|\bkopf|schadel|schaedel|hirn|\btete\b|\bcrane\b|"
    r"cabeza|cabeca|\btesta\b|\bcapo\b|hoofd|hersen|hjern|hjarn|\bhode\b|huvud|glow[ay]|\bmozg|mozek|hlav[ay]|"
    r"beyin|\bkafa\b|orbit|sella\b|pituitar|hypophys|hipofi|hippocamp|\bface\b|\biac\b|голов|мозг|череп|頭|脳|脑|颅"
)
_ELSEWHERE = re.compile(
    # spine
    r"\b(?:[ctl]|ls|ct|tl)?spines?\b|\bspinal\b|\b(?:hws|bws|lws|lwk|hwk|bwk|csp|tsp|lsp)\b|\bcerv(?!e)|\bthorac|\blumb|\blomb|\bsacr|"
    r"\bcoccy|\bvertebra|wirbels|\brachis|\bcolumna\b|\bcoluna\b|\bcolonna\b|\bwervel|\bkregosl|"
    r"\bhalsrygg|\blandrygg|позвоноч|шейн|пояснич|頚椎|頸椎|胸椎|腰椎|颈椎|"
    # trunk
    r"\bchest|\bthorax|\btorax|\btorace|\bbrust|\bbreast|\bmamm|\bheart|\bcardi|\bherz|\bcoeur|\babdom|\baddom|\bbauch|"
    r"\bliver|\bleber|\bfoie\b|\bhigado|\bfegato|\bkidney|\brenal|\bniere|\bpancrea|\bmrcp\b|\bpelvi|\bpelve\b|\bbecken|"
    r"\bbassin\b|\bbacino|\bprostat|\buter[uio]|\brectum|\brectal|\bbladder|\baorta|\blung|печен|"
    # limbs
    r"\bknees?\b|\bknie|\bgenou|\brodilla|\bjoelho|\bginocch|\bkolan|\bkoleno|\bcolen|коле[нй]|膝|\bshoulder|\bschulter|"
    r"\bepaule|\bhombro|\bombro|\bspalla|\bskulder|\bschouder|плеч|肩|\bhips?\b|\bhuft|\bhueft|\bhanche|\bcadera|"
    r"\bquadril|\banca\b|\bheup|\bankle|\bcheville|\btobillo|\btornozelo|\bcaviglia|\bsprunggel|\bfoot\b|\bfeet\b|"
    r"\bfuss\b|\bpied\b|\bpiede|\belbow|\bellenb|\bcoude\b|\bcodo\b|\bgomito|\bwrist|\bhandgel|\bpoignet|\bmuneca|"
    r"\bpolso|\bhands?\b|\bfinger|\bthigh|\bfemur|\boberschenk|\bunterschenk|\bcalf\b|\btibia|\bhumerus|\bforearm|"
    r"\bextremit|\blegs?\b|\barms?\b|upper ?arm|lower ?leg"
)
_NECK = re.compile(r"neck|\bhals\b|\bcou\b|\bcuello|\bpescoco|\bcollo\b|\bnek\b|\bszyj|шея|頸部")


def region_of(header: Dataset) -> Region:
    """Read the part of the body from every attribute that may name it; the most specific that does so decides.

    Series Description, Protocol Name, Anatomic Region Sequence (CID 4), Body Part Examined, Study Description, in this
    order. A head is in doubt where another of them names a part that is certainly elsewhere, or the neck.
    """
    found = [region for text in _texts(header) if (region := _region_in(text)) is not Region.UNKNOWN]
    if not found or found[0] is Region.ELSEWHERE:
        return found[0] if found else Region.UNKNOWN
    return Region.DOUBTFUL if {Region.DOUBTFUL, Region.ELSEWHERE} & set(found) else Region.HEAD


def _region_in(text: str) -> Region:
    head, elsewhere = _HEAD.search(text), _ELSEWHERE.search(text)
    if head and elsewhere:
        return Region.DOUBTFUL
    if elsewhere:
        return Region.ELSEWHERE
    if head:
        return Region.HEAD
    return Region.DOUBTFUL if _NECK.search(text) else Region.UNKNOWN


def _texts(header: Dataset) -> Iterator[str]:
    """Give the texts that may name a part of the body, the most specific first."""
    yield plain_text(header, "SeriesDescription")
    yield plain_text(header, "ProtocolName")
    yield " ".join(_coded_regions(header))
    yield plain_text(header, "BodyPartExamined")
    yield plain_text(header, "StudyDescription")


def _coded_regions(header: Dataset) -> Iterator[str]:
    """Give the meanings of coded regions: as written, and in English where the code is known."""
    shared = items_of(header, "SharedFunctionalGroupsSequence")
    for holder in (header, *(item for group in shared for item in items_of(group, "FrameAnatomySequence"))):
        for item in items_of(holder, "AnatomicRegionSequence"):
            yield plain_text(item, "CodeMeaning")
            value = next(iter(values_of(item, "CodeValue")), "")
            yield _meanings().get(snomed["SRT"].get(value, value), "")


@cache
def _meanings() -> dict[str, str]:
    """Give the English meanings of CID 4 by SNOMED CT code."""
    return {code.value: plain(code.meaning) for code in codes.cid4.concepts.values()}
