"""Segmentations of attributes only, without pixels; real ones are checked with the objects."""

import pytest
from pydicom import Dataset

from lnc_dicom.anatomy import Side
from lnc_dicom.codes import ANATOMICAL_STRUCTURE, LATERALITY, STRUCTURE
from lnc_dicom.validate.segmentation import check_segmentation


def _code(code):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    return item


def _segment(number):
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = number, f"structure {number}"
    segment.SegmentAlgorithmType, segment.SegmentAlgorithmName = "AUTOMATIC", "boxes"
    segment.SegmentedPropertyCategoryCodeSequence = [_code(ANATOMICAL_STRUCTURE)]
    kind = _code(STRUCTURE["putamen"])
    kind.SegmentedPropertyTypeModifierCodeSequence = [_code(LATERALITY[Side.LEFT])]
    segment.SegmentedPropertyTypeCodeSequence = [kind]
    segment.TrackingID, segment.TrackingUID = "putamen", "1.2.3"
    return segment


def _frame(number):
    frame, identification = Dataset(), Dataset()
    identification.ReferencedSegmentNumber = number
    frame.SegmentIdentificationSequence = [identification]
    return frame


@pytest.fixture
def seg():
    seg = Dataset()
    seg.SegmentSequence = [_segment(1), _segment(2)]
    seg.PerFrameFunctionalGroupsSequence = [_frame(1), _frame(2), _frame(2)]
    seg.NumberOfFrames = 3
    seg.ReferencedSeriesSequence = [Dataset()]
    return seg


def _whats(seg):
    return [v.what for v in check_segmentation(seg)]


def test_a_whole_segmentation_breaks_no_rule(seg):
    assert _whats(seg) == []


def test_numbers_of_a_binary_segmentation_count_from_1(seg):
    seg.SegmentSequence[0].SegmentNumber, seg.SegmentSequence[1].SegmentNumber = 2, 1
    assert _whats(seg) == ["segment numbers do not count from 1 by one"]


def test_numbers_of_a_label_map_need_only_differ_and_0_needs_no_description(seg):
    seg.SegmentationType = "LABELMAP"
    seg.SegmentSequence[0].SegmentNumber, seg.SegmentSequence[1].SegmentNumber = 2, 9
    seg.PerFrameFunctionalGroupsSequence = []
    seg.NumberOfFrames = 0
    background = Dataset()
    background.SegmentNumber = 0
    seg.SegmentSequence.append(background)
    assert _whats(seg) == []
    seg.SegmentSequence[1].SegmentNumber = 2
    assert _whats(seg) == ["a segment number occurs twice"]


@pytest.mark.parametrize("keyword", ["TrackingID", "TrackingUID"])
def test_half_a_tracking_is_found(seg, keyword):
    del seg.SegmentSequence[1][keyword]
    assert _whats(seg) == ["one of TrackingID and TrackingUID without the other"]


def test_a_manual_segment_needs_no_algorithm_an_automatic_one_does(seg):
    del seg.SegmentSequence[0].SegmentAlgorithmName
    assert _whats(seg) == ["an algorithm without a name"]
    seg.SegmentSequence[0].SegmentAlgorithmType = "MANUAL"
    assert _whats(seg) == []


def test_a_side_outside_of_its_context_group_is_found(seg):
    kind = seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    kind.SegmentedPropertyTypeModifierCodeSequence = [_code(STRUCTURE["putamen"])]
    assert _whats(seg) == ["the side is not in CID 244"]


def test_frames_without_segment_or_description_are_found(seg):
    seg.PerFrameFunctionalGroupsSequence[2].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7
    seg.NumberOfFrames = 4
    assert _whats(seg) == [
        "not as many functional groups as frames",
        "the frame belongs to a segment that is not described",
    ]


def test_a_segmentation_without_segments_or_source_series_is_found(seg):
    seg.SegmentSequence, seg.PerFrameFunctionalGroupsSequence, seg.NumberOfFrames = [], [], 0
    del seg.ReferencedSeriesSequence
    assert _whats(seg) == ["no segment", "no Referenced Series Sequence"]
