"""The tables against what PS3.16 says; that whole reports keep them is tested with the objects."""

import pytest
from pydicom.sr.codedict import codes

from lnc_dicom import codes as ours
from lnc_dicom.quantities import QUANTITIES
from lnc_dicom.validate.content_tree import key
from lnc_dicom.validate.tid1500 import CATEGORIES, GROUPS, REGIONS, ROOT, UNCERTAINTIES, UNITS


def _row(rows, code):
    (row,) = (r for r in rows if r.names is not None and key(code) in r.names and r.value_type != "SCOORD3D")
    return row


@pytest.mark.parametrize("template", ["1410", "1411", "1501"])
def test_every_group_has_one_tracking_identifier_and_one_tracking_uid(template):
    for code in (codes.DCM.TrackingIdentifier, codes.DCM.TrackingUniqueIdentifier):
        row = _row(GROUPS[template], code)
        assert (row.minimum, row.maximum, row.relationship) == (1, 1, "HAS OBS CONTEXT")


@pytest.mark.parametrize("template", ["1410", "1411", "1501"])
def test_the_method_of_a_group_is_a_modifier(template):
    assert _row(GROUPS[template], codes.SCT.MeasurementMethod).relationship == "HAS CONCEPT MOD"


def test_only_a_volumetric_group_may_have_several_outlines():
    maximum = {t: _row(GROUPS[t], codes.DCM.ImageRegion).maximum for t in ("1410", "1411")}
    assert maximum == {"1410": 1, "1411": None}


def test_only_groups_with_a_region_have_conditions_on_it():
    assert set(REGIONS) == {"1410", "1411"}
    assert "Volume Surface" in {code.meaning for _, code in REGIONS["1411"]}
    assert "Volume Surface" not in {code.meaning for _, code in REGIONS["1410"]}


def test_the_root_needs_language_device_and_procedure():
    mandatory = {row.title for row in ROOT if row.minimum}
    assert mandatory == {"Language of Content Item and Descendants", "Device Observer UID", "Procedure reported"}


def test_the_uncertainties_are_the_ranges_of_cid_225():
    assert {("371886008", "SCT"), ("371885007", "SCT")} <= UNCERTAINTIES


def test_the_code_that_slicer_writes_is_a_category_too():
    assert key(ours.ANATOMICAL_STRUCTURE) in CATEGORIES
    assert ("123037004", "SCT") in CATEGORIES


def test_every_quantity_that_we_write_has_its_unit_in_the_table():
    for properties in QUANTITIES.values():
        assert properties.unit.value in UNITS[key(properties.code)]
    assert ours.CUBIC_MILLIMETRE.value in UNITS[key(ours.VOLUME)]
    assert ours.MILLIMETRE.value not in UNITS[key(ours.VOLUME)]
