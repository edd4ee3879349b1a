"""An object of ours → another that says the same in a class which more destinations take. Made when it is needed.

| class that is refused | sent instead |
|---|---|
| Label Map Segmentation | the BINARY Segmentation of the same result, or the label map as BINARY |
| Comprehensive 3D SR | the same document as Comprehensive SR, if it has no 3D coordinates (PS3.3 A.35.3) |
| Parametric Map | the page that shows it, if there is one: that of the saliency |

An object that is converted has a UID derived from that of the first: the same object always becomes the same other one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pydicom
from highdicom.sr import ValueTypeValues
from highdicom.sr.utils import find_content_items
from pydicom import Dataset
from pydicom.dataset import FileDataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from lnc_dicom.outputs import FILES_OF, SALIENCY_MAP, Output
from lnc_dicom.uids import LABEL_MAP_SEGMENTATION, uid

CLASS_INSTEAD: Mapping[UID, UID] = MappingProxyType(
    {
        LABEL_MAP_SEGMENTATION: SegmentationStorage,
        Comprehensive3DSRStorage: ComprehensiveSRStorage,
        ParametricMapStorage: SecondaryCaptureImageStorage,
    }
)
"""Class that is refused → class of what is sent instead."""

_BESIDE: Mapping[str, str] = MappingProxyType(
    {
        FILES_OF[Output.LABELMAP][0]: FILES_OF[Output.SEG][0],
        SALIENCY_MAP: FILES_OF[Output.SALIENCY][0],
    }
)
"""Files of a result that show the same."""
_SEGMENT_NUMBER, _SEGMENT_IDENTIFICATION = 0x0062000B, 0x0062000A


class NoAlternativeError(Exception):
    """An object cannot be sent in another class; the message says why, without anything from the object."""


def alternative_to(file: Path, dataset: FileDataset) -> FileDataset:
    """Give what is sent where the class of an object is refused. Raises NoAlternativeError."""
    same = _BESIDE.get(file.name)
    if same is not None and (file.parent / same).is_file():
        return pydicom.dcmread(file.parent / same)
    convert = _CONVERSIONS.get(dataset.SOPClassUID)
    if convert is None:
        raise NoAlternativeError("there is no other form of it")
    try:
        return convert(dataset)
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise NoAlternativeError("it could not be converted") from error


def alternative_uid(original: str) -> str:
    """Give the SOP Instance UID of an object that was converted."""
    return uid("alternative", original)


def _as(sop_class: UID, dataset: FileDataset) -> FileDataset:
    """Copy an object under another class and UID."""
    other = copy.deepcopy(dataset)
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = sop_class
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = UID(alternative_uid(dataset.SOPInstanceUID))
    return other


def _comprehensive_sr(dataset: FileDataset) -> FileDataset:
    """Give the document as Comprehensive SR; the documents that it replaces went to the destination as such, too."""
    if find_content_items(dataset, value_type=ValueTypeValues.SCOORD3D, recursive=True):
        raise NoAlternativeError("Comprehensive SR has no 3D coordinates")
    other = _as(ComprehensiveSRStorage, dataset)
    for study in other.get("PredecessorDocumentsSequence", ()):
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                if item.ReferencedSOPClassUID == Comprehensive3DSRStorage:
                    item.ReferencedSOPClassUID = ComprehensiveSRStorage
                    item.ReferencedSOPInstanceUID = alternative_uid(item.ReferencedSOPInstanceUID)
    return other


def _binary_segmentation(dataset: FileDataset) -> FileDataset:
    """Give a label map as BINARY: a frame for each segment that has voxels in a frame, in the order of segments."""
    labels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    background = int(dataset.get("PixelPaddingValue", 0))
    segments = [item for item in dataset.SegmentSequence if item.SegmentNumber != background]
    numbers = [int(item.SegmentNumber) for item in segments]
    held = [(number, k) for number in numbers for k, frame in enumerate(labels) if (frame == number).any()]
    held = held or [(numbers[0], 0)]  # there is no image without a frame
    other = _as(SegmentationStorage, dataset)
    other.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    other.SegmentationType, other.SegmentsOverlap = "BINARY", "NO"
    other.ContentDescription = "Deep grey matter, from a label map, not reviewed (RESEARCH)"
    other.SegmentSequence = copy.deepcopy(segments)
    other.BitsAllocated = other.BitsStored = 1
    other.HighBit = 0
    other.NumberOfFrames = len(held)
    for name in ("PixelPaddingValue", "DimensionOrganizationType"):
        other.pop(name, None)
    _order_by_segment(other)
    items = dataset.PerFrameFunctionalGroupsSequence
    other.PerFrameFunctionalGroupsSequence = [_frame_of(items[k], number) for number, k in held]
    other.PixelData = pack_bits(np.stack([labels[k] == number for number, k in held]).astype(np.uint8))
    other["PixelData"].VR = "OB"
    return other


def _order_by_segment(other: Dataset) -> None:
    """Make the segment the first dimension, under a Dimension Organization of its own (PS3.3 C.7.6.17)."""
    organisation = uid("alternative dimensions", other.SOPInstanceUID)
    segment = Dataset()
    segment.DimensionIndexPointer, segment.FunctionalGroupPointer = _SEGMENT_NUMBER, _SEGMENT_IDENTIFICATION
    segment.DimensionDescriptionLabel = "Referenced Segment Number"
    other.DimensionIndexSequence = [segment, *other.DimensionIndexSequence]
    for name in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in getattr(other, name):
            item.DimensionOrganizationUID = organisation


def _frame_of(groups: Dataset, number: int) -> Dataset:
    """Give the functional groups of a frame of the label map to a frame of one segment."""
    frame = copy.deepcopy(groups)
    where = frame.FrameContentSequence[0].DimensionIndexValues
    frame.FrameContentSequence[0].DimensionIndexValues = [number, *(where if isinstance(where, list) else [where])]
    segment = Dataset()
    segment.ReferencedSegmentNumber = number
    frame.SegmentIdentificationSequence = [segment]
    return frame


_CONVERSIONS: Mapping[UID, Callable[[FileDataset], FileDataset]] = MappingProxyType(
    {LABEL_MAP_SEGMENTATION: _binary_segmentation, Comprehensive3DSRStorage: _comprehensive_sr}
)
