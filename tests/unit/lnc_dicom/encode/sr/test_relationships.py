import highdicom as hd
import pydicom
import pytest
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lnc_dicom.encode.sr.relationships import relate_methods
from tests.broken_objects import child, group, written


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return written(tmp_path_factory.mktemp("study"))


def test_the_method_of_a_group_is_a_modifier(objects):
    assert child(group(objects["measurements.dcm"]), "370129005").RelationshipType == "HAS CONCEPT MOD"


def test_highdicom_still_writes_it_otherwise():
    """When this fails, `relate_methods` can be deleted."""
    content = sr.MeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(hd.UID(), "x"),
        method=Code("126030", "DCM", "Sum of segmented voxel method for volume"),
        measurements=[sr.Measurement(codes.SCT.Volume, 1.0, codes.UCUM.CubicMillimeter)],
    )
    method = child(content[0], "370129005")
    assert method.RelationshipType == "CONTAINS"
    document = pydicom.Dataset()
    document.ContentSequence = [content[0]]
    relate_methods(document)
    assert method.RelationshipType == "HAS CONCEPT MOD"


def test_no_container_is_running_text(objects):
    document = objects["measurements.dcm"]
    found = {e.value for e in document.iterall() if e.keyword == "ContinuityOfContent"}
    assert found == {"SEPARATE"}
