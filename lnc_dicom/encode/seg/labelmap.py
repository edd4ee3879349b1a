"""Labels → LABELMAP Segmentation (PS3.3 A.51), 8 bit, RLE: an eighth of the size of the BINARY one, for archives.

Not every viewer reads it (docs/reference/objects.md). Segment numbers are those of the BINARY segmentation.
"""

from __future__ import annotations

import copy

from highdicom.seg import Segmentation, SegmentationTypeValues
from pydicom.uid import RLELossless

from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.report import Report

SERIES_NUMBER = 9006


def labelmap(report: Report, provenance: Provenance, binary: Segmentation) -> Segmentation:
    """Encode the labels with the segment descriptions of the BINARY segmentation.

    Value 0 is described as Background and is the Pixel Padding Value. highdicom writes its item first; here it is last,
    because OHIF takes segments by their position in the sequence and would show each in the colour of the next.
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
        **provenance.common("labelmap", SERIES_NUMBER, "AI deep grey matter label map (RESEARCH)"),
    )
    background = [item for item in seg.SegmentSequence if item.SegmentNumber == seg.PixelPaddingValue]
    structures = [item for item in seg.SegmentSequence if item.SegmentNumber != seg.PixelPaddingValue]
    seg.SegmentSequence = [*structures, *background]
    provenance.finish(seg)
    return seg
