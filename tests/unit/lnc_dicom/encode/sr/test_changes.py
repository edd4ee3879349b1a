from dataclasses import replace
from datetime import date

import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.sr.changes import change_groups
from lnc_dicom.encode.sr.outline import Placement
from lnc_dicom.types import Change, Prior, VolumeChange
from tests.factories import NOW

PUTAMEN = STRUCTURES[2]
PRIOR = Prior("1.1", "1.2", "1.3", NOW, date(2025, 3, 4), frozenset(), ("boxes", "1"), {})
CHANGE = Change(PRIOR, 365, (VolumeChange(PUTAMEN, -120.04, -3.26),))


@pytest.fixture
def encoded(report):
    placement = Placement(report.labels, report.sources)
    return lambda change: change_groups(change, Provenance(report, NOW), placement)


def _numbers(group):
    return {n.ConceptNameCodeSequence[0].CodeValue: n for n in group[0].ContentSequence if n.ValueType == "NUM"}


def _value(item):
    value = item.MeasuredValueSequence[0]
    return float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue


def test_a_change_is_written_in_mm3_and_percent_with_its_sign(encoded):
    (group,) = encoded(CHANGE)
    values = {code: _value(item) for code, item in _numbers(group).items()}
    assert values == {"CHANGE-VOLUME": (-120.0, "mm3"), "CHANGE-PERCENT": (-3.3, "%")}


def test_every_number_names_the_date_of_the_earlier_study(encoded):
    (group,) = encoded(CHANGE)
    for item in _numbers(group).values():
        (since,) = (c for c in item.ContentSequence if c.ValueType == "DATE")
        assert str(since.Date) == "20250304"


def test_the_group_is_of_the_structure_and_its_side(encoded):
    (group,) = encoded(CHANGE)
    assert group.tracking_identifier == "Putamen, left, change"
    assert group.finding_sites[0].laterality.meaning == "Left"
    assert group.method.value == "CHANGE-METHOD"


def test_without_a_change_or_its_date_there_is_no_group(encoded):
    undated = replace(CHANGE, since=replace(PRIOR, study_date=None))
    assert encoded(None) == encoded(undated) == encoded(replace(CHANGE, volumes=())) == []
