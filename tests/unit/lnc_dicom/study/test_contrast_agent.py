import pytest
from pydicom import Dataset

from lnc_dicom.study.contrast_agent import agent_given

GIVEN = (
    *("T1 3D +C GAD", "T1 post KM", "T1_mprage_Gd", "AX T1 C+", "T1 POST", "t1 mprage après gado", "T1 n. KM"),
    *("T1 MPRAGE +Gd", "T1W_3D_TFE_GD", "T1 con mdc", "SAG T1 POST CONTRAST", "T1 + C", "T1ce", "T1C", "T1 MIT KM"),
    *(
        "T1 w contrast",
        "BRAVO+C",
        "T1 après injection",
        "T1 después de contraste",
        "T1 vibe dixon postGd",
        "T1 nach KM",
    ),
)
NOT_GIVEN = (
    *(
        "T1_mprage",
        "T1 pre GAD",
        "T1 ohne KM",
        "T1 w/o contrast",
        "T1 nativ",
        "T1 -C",
        "T1 non contrast",
        "T1 sans gado",
    ),
    *("T1 sag post-op", "t1 posterior", "T1 SAG C-SPINE", "t1 + cor", "sag t1 c", "T1 avant injection", "T1 senza mdc"),
    *("T1 before contrast", "t1_mprage_noncontrast", "pre-Gd T1", "T1 postprocessed", "t1_se_tra_vor_KM", ""),
)
NEGATIONS = (
    *("NONE", "NO", "N/A", "NATIV", "Nativ", "OHNE", "ohne KM", "SANS", "0", "0 ml", "-", "--", "n.a.", "w/o", "N"),
    *("without contrast", "No contrast given", "sin contraste", "senza mdc", "kein KM", "UNKNOWN", ""),
)
AGENTS = (
    "Gd",
    "GADOLINIUM",
    "Dotarem 10ml",
    "7.5",
    "YES",
    "GADOVIST",
    "10 ML MULTIHANCE",
    "gd-dtpa",
    "non-ionic Gd",
    "Omniscan 0.1",
)


def _header(**values):
    header = Dataset()
    for name, value in values.items():
        setattr(header, name, value)
    return header


@pytest.mark.parametrize("text", GIVEN)
def test_a_description_may_say_that_an_agent_was_given(text):
    assert agent_given(_header(SeriesDescription=text))


@pytest.mark.parametrize("text", NOT_GIVEN)
def test_other_descriptions_say_nothing_of_an_agent(text):
    assert not agent_given(_header(SeriesDescription=text))


@pytest.mark.parametrize("word", NEGATIONS)
def test_a_word_of_negation_is_no_agent(word):
    assert not agent_given(_header(ContrastBolusAgent=word, SeriesDescription="T1_mprage"))


@pytest.mark.parametrize("agent", AGENTS)
def test_a_named_agent_or_an_amount_is_one(agent):
    assert agent_given(_header(ContrastBolusAgent=agent))


def test_a_dose_above_zero_is_an_agent():
    assert agent_given(_header(ContrastBolusVolume="7.5"))
    assert not agent_given(_header(ContrastBolusVolume="0"))


def test_enhanced_images_name_the_agent_in_a_sequence_and_may_say_that_it_was_not_given():
    agents = [_header(CodeValue="C-17800", CodeMeaning="Gadolinium")]
    assert agent_given(_header(ContrastBolusAgentSequence=agents))
    usage = _header(ContrastBolusUsageSequence=[_header(ContrastBolusAgentAdministered="NO")])
    assert not agent_given(_header(ContrastBolusAgentSequence=agents, SharedFunctionalGroupsSequence=[usage]))
    assert not agent_given(_header(ContrastBolusAgentSequence=[_header(CodeMeaning="None")]))
