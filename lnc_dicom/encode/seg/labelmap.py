"""Labels → LABELMAP Segmentation (PS3.3 A.51), 8 bit, RLE: an eighth of the size of the BINARY one, for archives.

Not for every viewer (docs/reference/objects.md). The segment numbers are those of the BINARY segmentation.
"""

from __future__ import annotations

import copy

from highdicom.seg import Segmentation, SegmentationTypeValues
from pydicom.uid import RLELossless

from lnc_dicom.encode.provenance import Origin
from lnc_dicom.report import Report

SERIES_NUMBER = 9006


def labelmap(report: Report, origin: Origin, binary: Segmentation) -> Segmentation:
    """Encode the labels once more, with the segments of the BINARY segmentation.

    Value 0 is described as Background and named by Pixel Padding Value. Its item comes last, where highdicom puts it
    first: OHIF counts segments by their place in the sequence and would show every one in the colour of the next.
    """
    seg = Segmentation(
        source_images=list(report.sources),
        pixel_array=report.labels,
        segmentation_type=SegmentationTypeValues.LABELMAP,
        segment_descriptions=copy.deepcopy(list(binary.SegmentSequence)),
        content_label="DEEP_GREY_MATTER",
        content_description="Deep grey matter as label map, not reviewed (RESEARCH)",
        content_creator_name="lnc-dicom^automatic",
        omit_empty_frames=True,
        transfer_syntax_uid=RLELossless,
        **origin.common("labelmap", SERIES_NUMBER, "AI deep grey matter label map (RESEARCH)"),
    )
    background = [item for item in seg.SegmentSequence if item.SegmentNumber == seg.PixelPaddingValue]
    structures = [item for item in seg.SegmentSequence if item.SegmentNumber != seg.PixelPaddingValue]
    seg.SegmentSequence = [*structures, *background]
    origin.finish(seg)
    return seg
