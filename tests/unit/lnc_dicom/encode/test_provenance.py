from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from pydicom import Dataset

from lnc_dicom.encode.provenance import Provenance, provenance_of
from lnc_dicom.predictions import Model
from lnc_dicom.types import Prior
from tests.factories import NOW

LATER = NOW + timedelta(days=2)


def _prior(series_uid, uid="1.2.3", images=()):
    return Prior("1.1", series_uid, uid, NOW, date(2026, 1, 1), frozenset(images), ("boxes", "1"), {})


def _with_prior(report, prior):
    return replace(report, study=replace(report.study, priors=(prior,)))


def _images(report):
    return [str(s.SOPInstanceUID) for s in report.sources]


def test_the_order_of_the_images_changes_no_uid(report):
    turned = replace(report, sources=tuple(reversed(report.sources)))
    assert Provenance(turned, NOW).uid("seg") == Provenance(report, NOW).uid("seg")


def test_the_time_changes_the_object_but_not_its_series(report):
    now, later = Provenance(report, NOW), Provenance(report, LATER)
    assert now.uid("seg") != later.uid("seg")
    assert now.series_uid("seg") == later.series_uid("seg")


def test_the_time_zone_in_which_the_time_is_written_changes_nothing(report):
    abroad = NOW.astimezone(timezone(timedelta(hours=-5)))
    assert Provenance(report, abroad).uid("seg") == Provenance(report, NOW).uid("seg")


@pytest.mark.parametrize("change", ["model", "biomarker", "settings"])
def test_whatever_changes_the_result_changes_the_series(report, change):
    other = {
        "model": Model("boxes", "1", "f" * 64),
        "biomarker": replace(report.biomarker, model=Model("oracle", "3", "b" * 64)),
        "settings": "{}",
    }
    found, before = Provenance(replace(report, **{change: other[change]}), NOW), Provenance(report, NOW)
    assert found.series_uid("sr") != before.series_uid("sr")
    assert (found.device_uid() != before.device_uid()) is (change != "settings")


def test_roles_have_uids_of_their_own(report):
    provenance = Provenance(report, NOW)
    found = [provenance.uid("seg"), provenance.uid("sr"), provenance.series_uid("seg"), provenance.series_uid("sr")]
    assert len(set(found)) == 4


def test_the_same_result_made_again_keeps_its_time_and_replaces_nothing(report):
    again = _with_prior(report, _prior(Provenance(report, NOW).series_uid("sr"), images=_images(report)))
    provenance = provenance_of(again, LATER)
    assert provenance.now == NOW
    assert provenance.replaced is None
    assert provenance.uid("sr") == Provenance(report, NOW).uid("sr")


def test_another_result_of_the_same_images_is_replaced_and_named_in_the_uid(report):
    prior = _prior("1.9", images=[*_images(report), "1.5"])
    provenance = provenance_of(_with_prior(report, prior), LATER)
    assert provenance.now == LATER
    assert provenance.replaced == prior
    assert provenance.uid("sr") != Provenance(report, LATER).uid("sr")


def test_a_result_of_a_part_of_the_images_is_replaced_and_one_of_other_images_is_not(report):
    part, others = _prior("1.9", images=_images(report)[1:]), _prior("1.9", images=["1.2.3"])
    assert provenance_of(_with_prior(report, part), LATER).replaced == part
    assert provenance_of(_with_prior(report, others), LATER).replaced is None


def test_a_structure_is_tracked_by_patient_not_by_study(report):
    source = report.sources[0]
    other = Dataset()
    other.PatientID, other.StudyInstanceUID = source.PatientID, "1.2.3"
    elsewhere = replace(report, sources=(other,))
    assert Provenance(elsewhere, NOW).tracking_uid("Putamen, left") == Provenance(report, NOW).tracking_uid(
        "Putamen, left"
    )


def test_times_of_an_object_are_those_of_the_result_with_its_zone(report):
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    made = Dataset()
    made.ContributingEquipmentSequence = [Provenance(report, NOW).equipment()]
    Provenance(report, now).finish(made)
    assert (str(made.ContentDate), str(made.ContentTime)[:6], made.TimezoneOffsetFromUTC) == (
        "20260102",
        "030405",
        "-0330",
    )
    assert made.ContributingEquipmentSequence[0].ContributionDateTime == now


def test_utc_is_written_as_such(report):
    made = Dataset()
    made.ContributingEquipmentSequence = []
    Provenance(report, NOW.astimezone(UTC)).finish(made)
    assert made.TimezoneOffsetFromUTC == "+0000"
