import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.codes import CUBIC_MILLIMETRE, MEAN, QUALITY, UNUSABLE, VOLUME
from lnc_dicom.encode.sr.items import evaluation_item, number_item, site_of

UPPER, LOWER = "371886008", "371885007"


def _value(item):
    value = item.MeasuredValueSequence[0]
    return float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue


def _children(item):
    return {child.ConceptNameCodeSequence[0].CodeValue: child for child in item[0].get("ContentSequence", ())}


def test_an_interval_is_written_as_ranges_above_and_below_in_the_unit_of_the_number():
    item = number_item(VOLUME, 2000.04, CUBIC_MILLIMETRE, 1, (1800.0, 2300.0))
    assert _value(item[0]) == (2000.0, "mm3")
    assert _value(_children(item)[UPPER]) == (300.0, "mm3")
    assert _value(_children(item)[LOWER]) == (200.0, "mm3")


def test_a_narrow_range_is_written_as_it_is():
    item = number_item(VOLUME, 5.0, CUBIC_MILLIMETRE, 2, (4.75, 5.25))
    assert _value(_children(item)[UPPER]) == _value(_children(item)[LOWER]) == (0.25, "mm3")


def test_a_range_is_never_negative():
    item = number_item(VOLUME, 5.0, CUBIC_MILLIMETRE, 1, (6.0, 9.0))
    assert _value(_children(item)[LOWER]) == (0.0, "mm3")
    assert _value(_children(item)[UPPER]) == (4.0, "mm3")


def test_without_interval_and_derivation_a_number_has_no_children():
    assert _children(number_item(VOLUME, 5.0, CUBIC_MILLIMETRE, 1)) == {}


def test_a_derivation_modifies_the_number():
    (modifier,) = _children(number_item(VOLUME, 5.0, CUBIC_MILLIMETRE, 1, derivation=MEAN)).values()
    assert modifier.RelationshipType == "HAS CONCEPT MOD"
    assert modifier.ConceptCodeSequence[0].CodeValue == MEAN.value


@pytest.mark.parametrize(("reason", "texts"), [("", []), ("too small", ["too small"])])
def test_the_reason_of_an_evaluation_is_a_comment_below_it(reason, texts):
    item = evaluation_item(QUALITY, UNUSABLE, reason)
    assert item[0].ConceptCodeSequence[0].CodeValue == UNUSABLE.value
    comments = item[0].get("ContentSequence", ())
    assert [c.TextValue for c in comments] == texts
    assert {c.RelationshipType for c in comments} <= {"HAS PROPERTIES"}


def test_every_side_is_a_modifier_of_the_finding_site():
    for structure in STRUCTURES:
        site = site_of(structure)
        assert site.laterality.meaning.lower() == structure.side.value
        assert structure.side.value not in site.value.meaning.lower()
