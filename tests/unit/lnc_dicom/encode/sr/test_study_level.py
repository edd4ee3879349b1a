import math
from dataclasses import replace

import pytest

from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.sr.outline import Placement
from lnc_dicom.encode.sr.study_level import study_level_groups
from lnc_dicom.measure.gates import CONTRAST_TO_NOISE, EDGE_WIDTH, MIRROR, TURN
from tests.factories import NOW


def _groups(report):
    placement = Placement(report.labels, report.sources)
    return {g.tracking_identifier: g for g in study_level_groups(report, Provenance(report, NOW), placement)}


def _numbers(group):
    found = (n for n in group[0].ContentSequence if n.ValueType == "NUM")
    return {
        n.ConceptNameCodeSequence[0].CodeValue: (
            float(n.MeasuredValueSequence[0].NumericValue),
            n.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
        )
        for n in found
    }


def _two_putamina(report, left_ml, right_ml):
    left, right = report.measurements[2:4]
    return replace(report, measurements=(replace(left, volume_ml=left_ml), replace(right, volume_ml=right_ml)))


def test_asymmetry_is_the_difference_over_the_mean_positive_where_the_left_is_larger(report):
    group = _groups(_two_putamina(report, 4.4, 3.6))["Putamen, asymmetry"]
    assert _numbers(group)["ASYM-VOLUME"] == (pytest.approx(0.2), "1")
    assert group.finding_sites[0].laterality.meaning == "Bilateral"
    assert group.method.value == "ASYM-INDEX"


def test_a_pair_of_which_one_failed_has_no_asymmetry(report):
    left, right = report.measurements[2:4]
    failed = replace(report, measurements=(left, replace(right, checks=(MIRROR.check(0.1),))))
    assert set(_groups(failed)) == {"Images, quality"} | {t for t in _groups(failed) if t.startswith("Images, quality")}


def test_gates_have_their_numbers_and_units_and_those_without_a_number_are_left_out(report):
    checks = (EDGE_WIDTH.check(1.23456), TURN.check(7.5), CONTRAST_TO_NOISE.check(math.nan))
    group = _groups(replace(report, checks=checks))["Images, quality"]
    assert _numbers(group) == {EDGE_WIDTH.code: (1.2346, "mm"), TURN.code: (7.5, "deg")}


def test_images_are_usable_if_every_structure_passed_else_partly_with_the_reason(report):
    (whole,) = _groups(report)["Images, quality"].get_qualitative_evaluations()
    assert whole.value.value == "111237"
    failed = replace(report.measurements[0], checks=(MIRROR.check(0.1),))
    partly = replace(report, measurements=(failed, *report.measurements[1:]))
    group = _groups(partly)["Images, quality"][0]
    (evaluation,) = (c for c in group.ContentSequence if c.name.value == "111050")
    assert evaluation.ConceptCodeSequence[0].CodeValue == "111236"
    assert evaluation.ContentSequence[0].TextValue.startswith("Caudate, left failed")
