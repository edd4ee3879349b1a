from lnc_dicom.outputs import Output
from lnc_service.rules.apply import files_of_destinations, kinds_of_destinations, measuring
from lnc_service.rules.rule import Rule
from lnc_service.settings import Settings

PACS, ARCHIVE = {"host": "x", "ae_title": "PACS"}, {"host": "y", "ae_title": "ARCHIVE", "objects": ["labelmap"]}
SETTINGS = Settings(pacs=PACS, others=[ARCHIVE])
WRITTEN = ["measurements.dcm", "segmentation.dcm", "labelmap.dcm"]


def test_without_a_rule_the_settings_count():
    assert measuring(SETTINGS, None, demonstration=True) is SETTINGS
    assert files_of_destinations(SETTINGS, None, WRITTEN, demonstration=True) == {
        "PACS": ["segmentation.dcm", "measurements.dcm"],
        "ARCHIVE": ["labelmap.dcm"],
    }


def test_what_a_rule_does_not_measure_is_switched_off():
    under = measuring(SETTINGS, Rule(name="a", measure=("volumes", "cbf")), demonstration=True)
    assert (under.maps.measured, under.biomarker.enabled) == (("cbf",), False)
    for demonstration in (True, False):
        usual = measuring(SETTINGS, Rule(name="a"), demonstration=demonstration)
        assert usual.options(demonstration=demonstration) == SETTINGS.options(demonstration=demonstration)


def test_a_rule_sends_what_a_demonstration_model_predicts_only_where_it_names_it():
    written = ["measurements.dcm", "predictions.dcm"]

    def sent(rule, *, demonstration):
        return files_of_destinations(SETTINGS, rule, written, demonstration=demonstration)["PACS"]

    assert sent(Rule(name="a"), demonstration=True) == ["measurements.dcm"]
    assert sent(Rule(name="a"), demonstration=False) == ["measurements.dcm", "predictions.dcm"]
    named = Rule(name="a", send=[{"to": "PACS", "objects": ["biomarker"]}])
    assert sent(named, demonstration=True) == ["predictions.dcm"]


def test_a_rule_says_who_gets_what_and_only_that_is_made():
    rule = Rule(name="a", send=[{"to": "PACS", "objects": ["sr"]}])
    assert files_of_destinations(SETTINGS, rule, WRITTEN, demonstration=True) == {"PACS": ["measurements.dcm"]}
    assert measuring(SETTINGS, rule, demonstration=True).options(demonstration=True).objects == (Output.SR,)
    assert kinds_of_destinations(SETTINGS, rule, demonstration=True) == {"PACS": (Output.SR,)}
    usual = Rule(name="b", send=[{"to": "ARCHIVE"}])
    assert kinds_of_destinations(SETTINGS, usual, demonstration=True) == {"ARCHIVE": (Output.LABELMAP,)}
