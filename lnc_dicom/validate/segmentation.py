"""A segmentation → where it breaks the rules of its segments and frames (PS3.3 C.8.20, C.7.6.16)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom import Dataset

from lnc_dicom.validate.content_tree import Violation, coded
from lnc_dicom.validate.template_rows import context_group
from lnc_dicom.validate.tid1500 import CATEGORIES

_SIDES = context_group(244)
_CODES = ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence")
_TYPE_1 = ("SegmentNumber", "SegmentLabel", "SegmentAlgorithmType")


def check_segmentation(seg: Dataset) -> Iterator[Violation]:
    """Check segments and frames of a SEG."""
    segments = seg.get("SegmentSequence", ())
    if not segments:
        yield Violation("PS3.3 C.8.20.2", "SegmentSequence", "no segment", "Describe every segment (Type 1).")
    numbers = [segment.get("SegmentNumber") for segment in segments]
    if seg.get("SegmentationType") == "LABELMAP":  # pixel values are the numbers: any, 0 is the background
        if len(set(numbers)) < len(numbers):
            what = "a segment number occurs twice"
            yield Violation("PS3.3 C.8.20.2.3", "SegmentSequence", what, "Give every segment a number of its own.")
    elif numbers != list(range(1, len(numbers) + 1)):
        what = "segment numbers do not count from 1 by one"
        yield Violation("PS3.3 C.8.20.2.3", "SegmentSequence", what, "Number the segments in their order.")
    for index, segment in enumerate(segments, start=1):
        if segment.get("SegmentNumber") != 0:
            yield from _segment(segment, f"segment item {index}")
    yield from _frames(seg, numbers)
    if not seg.get("ReferencedSeriesSequence"):
        what = "no Referenced Series Sequence"
        yield Violation("PS3.3 C.7.6.16", "top", what, "Name the source series: viewers find the images by it.")


def _segment(segment: Dataset, where: str) -> Iterator[Violation]:
    """Check Type 1 attributes and codes of a segment, and that Tracking ID and Tracking UID go together."""
    for keyword in _TYPE_1:
        if segment.get(keyword) in (None, ""):
            yield Violation("PS3.3 C.8.20.2", where, f"{keyword} is missing", f"Write {keyword} (Type 1).")
    if segment.get("SegmentAlgorithmType") in {"AUTOMATIC", "SEMIAUTOMATIC"} and not segment.get(
        "SegmentAlgorithmName"
    ):
        what = "an algorithm without a name"
        yield Violation("PS3.3 C.8.20.2", where, what, "Write SegmentAlgorithmName (Type 1C).")
    yield from _codes(segment, where)
    if bool(segment.get("TrackingID")) != bool(segment.get("TrackingUID")):
        what = "one of TrackingID and TrackingUID without the other"
        yield Violation("PS3.3 C.8.20.2", where, what, "Write both, or neither (Type 1C).")


def _codes(segment: Dataset, where: str) -> Iterator[Violation]:
    """Check that category and type exist, and that category and side are in their context groups."""
    for keyword in _CODES:
        if coded(segment, keyword) is None:
            yield Violation("PS3.3 C.8.20.2", where, f"{keyword} is missing", f"Write {keyword} (Type 1).")
    if coded(segment, _CODES[0]) not in {*CATEGORIES, None}:
        yield Violation("PS3.3 C.8.20.2", where, "the category is not in CID 7150", "Take a code of CID 7150.")
    kinds = segment.get(_CODES[1])
    if kinds and coded(kinds[0], "SegmentedPropertyTypeModifierCodeSequence") not in {*_SIDES, None}:
        yield Violation("PS3.3 C.8.20.2", where, "the side is not in CID 244", "Take a code of CID 244.")


def _frames(seg: Dataset, numbers: Sequence[int | None]) -> Iterator[Violation]:
    """Check that every frame has its functional groups and belongs to a segment that is described."""
    frames = seg.get("PerFrameFunctionalGroupsSequence", ())
    if len(frames) != int(seg.get("NumberOfFrames") or 0):
        what = "not as many functional groups as frames"
        yield Violation("PS3.3 C.7.6.16", "PerFrameFunctionalGroupsSequence", what, "Describe every frame once.")
    for index, frame in enumerate(frames, start=1):
        for item in frame.get("SegmentIdentificationSequence", ()):
            if item.get("ReferencedSegmentNumber") not in numbers:
                what = "the frame belongs to a segment that is not described"
                yield Violation("PS3.3 C.8.20.3.1", f"frame {index}", what, "Refer to a number in SegmentSequence.")
