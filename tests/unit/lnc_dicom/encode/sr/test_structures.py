from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydicom.uid import SegmentationStorage

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.sr.outline import Placement
from lnc_dicom.encode.sr.structures import structure_groups
from lnc_dicom.measure.gates import MIRROR
from lnc_dicom.quantities import Quantity
from lnc_dicom.types import Measurement, Statistic
from tests.factories import NOW

PUTAMEN = STRUCTURES[2]
SEG = SimpleNamespace(SOPClassUID=SegmentationStorage, SOPInstanceUID="1.2.3")
VOLUME, AREA, FA, CBF = "118565006", "42798000", "110808", "126390"


@pytest.fixture
def groups(report):
    """Encode the groups of one measurement: children by code of their concept name."""

    def encoded(measurement):
        placement = Placement(report.labels, report.sources)
        found = structure_groups(measurement, report, Provenance(report, NOW), SEG, placement)
        return [{c.ConceptNameCodeSequence[0].CodeValue: c for c in group[0].ContentSequence} for group in found]

    return encoded


def _number(item):
    value = item.MeasuredValueSequence[0]
    return float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue


def _ranges(item):
    named = {c.ConceptNameCodeSequence[0].CodeValue: c for c in item.ContentSequence}
    return _number(named["371885007"]), _number(named["371886008"])


def test_a_volume_in_ml_and_its_interval_are_written_in_mm3(groups):
    volume = groups(Measurement(PUTAMEN, 2000, 2.0, (1.8, 2.3)))[0][VOLUME]
    assert _number(volume) == (2000.0, "mm3")
    assert _ranges(volume) == ((200.0, "mm3"), (300.0, "mm3"))


def test_a_volume_without_interval_has_no_ranges(groups):
    assert "ContentSequence" not in groups(Measurement(PUTAMEN, 2000, 2.0))[0][VOLUME]


def test_means_have_the_codes_and_units_of_their_quantities(groups):
    statistics = {Quantity.FA: Statistic(0.41237, 0.1, 0.4, 20), Quantity.CBF: Statistic(47.126, 5.0, 47.0, 20)}
    segment, outline = groups(Measurement(PUTAMEN, 2000, 2.0, statistics=statistics))
    assert _number(segment[FA]) == (0.4124, "1")
    assert _number(segment[CBF]) == (47.13, "ml/[100]g/min")
    assert not {FA, CBF, VOLUME} & set(outline)


def test_both_groups_have_one_tracking_uid_and_the_segment_is_that_of_the_structure(groups):
    segment, outline = groups(Measurement(PUTAMEN, 2000, 2.0))
    assert segment["112040"].UID == outline["112040"].UID
    reference = segment["121191"].ReferencedSOPSequence[0]
    assert (reference.ReferencedSOPInstanceUID, reference.ReferencedSegmentNumber) == ("1.2.3", PUTAMEN.label)


def test_the_area_gives_way_to_a_fourth_measured_number(groups):
    statistics = {quantity: Statistic(0.5, 0.1, 0.5, 20) for quantity in Quantity}
    assert AREA in groups(Measurement(PUTAMEN, 2000, 2.0))[1]
    assert AREA not in groups(Measurement(PUTAMEN, 2000, 2.0, statistics=statistics))[1]


def test_a_structure_that_failed_has_the_number_of_its_gate_and_no_volume(groups):
    failed = replace(Measurement(PUTAMEN, 2000, 2.0, (1.8, 2.3)), checks=(MIRROR.check(0.123),))
    segment, gate = groups(failed)
    assert VOLUME not in segment
    assert segment["111050"].ConceptCodeSequence[0].CodeMeaning.startswith("Unusable")
    assert _number(gate[MIRROR.code]) == (0.123, "1")
    assert not {"111030", AREA} & set(gate)
