"""Content that others may write, and that TID 1410 and 1501 allow, is accepted; broken regions are not."""

import copy

import highdicom as hd
import numpy as np
import pytest
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lnc_dicom.encode.sr.relationships import relate_methods
from lnc_dicom.validate import check_object
from lnc_dicom.validate.sr import groups
from tests.broken_objects import child, written


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return written(tmp_path_factory.mktemp("study"))["measurements.dcm"]


def _outline(report):
    """A TID 1410 group with a closed outline and a number inferred from a point."""
    library = child(child(report, "111028"), "126200").ContentSequence[0].ReferencedSOPSequence[0]
    image = sr.SourceImageForRegion(library.ReferencedSOPClassUID, library.ReferencedSOPInstanceUID)
    square = np.array([[10, 10], [20, 10], [20, 20], [10, 20], [10, 10]], float)
    volume = sr.Measurement(codes.SCT.Volume, 3.2, codes.UCUM.CubicMillimeter)
    point = sr.ContentSequence(
        [
            sr.ScoordContentItem(
                sr.CodedConcept.from_code(codes.DCM.ImageRegion),
                sr.GraphicTypeValues.POINT,
                np.array([[15.0, 15.0]]),
                relationship_type=sr.RelationshipTypeValues.INFERRED_FROM,
            )
        ]
    )
    point[0].ContentSequence = sr.ContentSequence([image])
    outlined = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(hd.UID(), "Caudate, left, outline"),
        referenced_region=sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, square, source_image=image),
        finding_type=Code("11000004", "SCT", "Caudate Nucleus"),
        measurements=[volume],
        algorithm_id=sr.AlgorithmIdentification("lnc", "1"),
    )
    child(outlined[0], "118565006").ContentSequence = point  # by hand: highdicom takes coordinates in TID 1501 only
    return outlined


def _asymmetry():
    """A TID 1501 group with a derived number and an evaluation of quality."""
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(hd.UID(), "Asymmetry"),
        finding_type=Code("11000004", "SCT", "Caudate Nucleus"),
        method=Code("ASYM", "99LNC", "(L - R) / mean"),
        measurements=[
            sr.Measurement(Code("ASYM-VOL", "99LNC", "Asymmetry of volume"), 0.03, codes.UCUM.NoUnits),
            sr.Measurement(codes.DCM.SignalToNoiseRatio, 21.0, codes.UCUM.NoUnits),
        ],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(
                sr.CodedConcept("111050", "DCM", "Quality Assessment"),
                sr.CodedConcept("111237", "DCM", "Usable - Meets the quality control standard"),
            )
        ],
    )


@pytest.fixture
def extended(report):
    """The report with a group of either kind more."""
    longer = copy.deepcopy(report)
    container = child(longer, "126010")
    container.ContentSequence = [*container.ContentSequence, _outline(report)[0], _asymmetry()[0]]
    relate_methods(longer)
    return longer


def test_outlines_and_derived_numbers_are_accepted(extended):
    assert [str(v) for v in check_object(extended)] == []


def _outlined(extended):
    return list(groups(extended))[-2][1]


def _region(extended):
    return child(_outlined(extended), "111030")


def _odd(extended):
    _region(extended).GraphicData = list(_region(extended).GraphicData)[:-1]


def _several_points(extended):
    _region(extended).GraphicType = "MULTIPOINT"


def _of_no_image(extended):
    del _region(extended).ContentSequence


def _point_of_no_image(extended):
    del child(_outlined(extended), "118565006").ContentSequence[0].ContentSequence


def _two_outlines(extended):
    _outlined(extended).ContentSequence.append(copy.deepcopy(_region(extended)))


def _contained_point(extended):
    child(_outlined(extended), "118565006").ContentSequence[0].RelationshipType = "CONTAINS"


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (_odd, "do not fit their graphic type"),
        (_several_points, "several points"),
        (_of_no_image, "image that a region is selected from is missing"),
        (_point_of_no_image, "image that a region is selected from is missing"),
        (_two_outlines, "Image Region occurs 2 times"),
        (_contained_point, "no row for SCOORD with the relationship CONTAINS"),
    ],
)
def test_a_broken_outline_is_caught(extended, breaks, message):
    breaks(extended)
    assert any(message in str(v) for v in check_object(extended))
