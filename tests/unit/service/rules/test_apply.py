from lnc_dicom.outputs import Output
from lnc_service.rules.apply import files_of_destinations, kinds_of_destinations, measuring
from lnc_service.rules.rule import Rule
from lnc_service.settings import Settings

PACS, ARCHIVE = {"host": "x", "ae_title": "PACS"}, {"host": "y", "ae_title": "ARCHIVE", "objects": ["labelmap"]}
SETTINGS = Settings(pacs=PACS, others=[ARCHIVE])
WRITTEN = ["measurements.dcm", "segmentation.dcm", "labelmap.dcm"]


def test_without_a_rule_the_settings_count():
    assert measuring(SETTINGS, None) is SETTINGS
    assert files_of_destinations(SETTINGS, None, WRITTEN) == {
        "PACS": ["segmentation.dcm", "measurements.dcm"],
        "ARCHIVE": ["labelmap.dcm"],
    }


def test_what_a_rule_does_not_measure_is_switched_off():
    under = measuring(SETTINGS, Rule(name="a", measure=("volumes", "cbf")))
    assert (under.options.maps.measured, under.options.biomarker.enabled) == (("cbf",), False)
    assert measuring(SETTINGS, Rule(name="a")).options == SETTINGS.options


def test_a_rule_says_who_gets_what_and_only_that_is_made():
    rule = Rule(name="a", send=[{"to": "PACS", "objects": ["sr"]}])
    assert files_of_destinations(SETTINGS, rule, WRITTEN) == {"PACS": ["measurements.dcm"]}
    assert measuring(SETTINGS, rule).options.objects == (Output.SR,)
    assert kinds_of_destinations(SETTINGS, rule) == {"PACS": (Output.SR,)}
    usual = Rule(name="b", send=[{"to": "ARCHIVE"}])
    assert kinds_of_destinations(SETTINGS, usual) == {"ARCHIVE": (Output.LABELMAP,)}
