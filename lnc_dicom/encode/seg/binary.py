"""Labels → BINARY Segmentation (PS3.3 A.51) on the grid of the source series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import AlgorithmIdentificationSequence, Volume
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom import Dataset

from lnc_dicom.codes import ANATOMICAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE, BRAIN, LATERALITY, STRUCTURE
from lnc_dicom.encode.provenance import MANUFACTURER, Provenance
from lnc_dicom.report import Report, failure_text
from lnc_dicom.types import Measurement

SERIES_NUMBER = 9001
"""In a high range that scanners do not use."""


def segmentation(report: Report, provenance: Provenance) -> Segmentation:
    """Encode the labels. All structures are described, empty ones too: they were not found, or failed.

    The pixels are passed as a Volume: positions come from the affine, never from the order of the sources.
    """
    labels, sources = crop_to_labels(report.labels, report.sources)
    seg = Segmentation(
        source_images=sources,
        pixel_array=labels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(m, report, provenance) for m in report.measurements],
        content_label="DEEP_GREY_MATTER",
        content_description="Deep grey matter, automatic, not reviewed (RESEARCH)",
        content_creator_name="lnc-dicom^automatic",
        omit_empty_frames=True,
        **provenance.common("seg", SERIES_NUMBER, "AI deep grey matter SEG (RESEARCH)"),
    )
    provenance.finish(seg)
    return seg


def crop_to_labels(labels: Volume, sources: Sequence[Dataset]) -> tuple[Volume, list[Dataset]]:
    """Crop to the slices from the first to the last with a label, and to the source images that lie there.

    Matching source images to slices takes most of the encoding time, so images beside the crop are left out, except for
    the first, from which patient and study are copied.
    """
    held = np.flatnonzero(labels.array.any(axis=(1, 2)))
    first, last = (int(held[0]), int(held[-1])) if held.size else (0, 0)
    part = labels[first : last + 1]
    if len(sources) == 1:
        return part, list(sources)
    positions_mm = np.array([source.ImagePositionPatient for source in sources], float)
    slices = np.rint(positions_mm @ labels.inverse_affine[0, :3] + labels.inverse_affine[0, 3])
    return part, [sources[0], *(s for s, k in zip(sources[1:], slices[1:], strict=True) if first <= k <= last)]


def _description(measurement: Measurement, report: Report, provenance: Provenance) -> SegmentDescription:
    """Describe a segment; one that failed is empty, with the reason in its description."""
    structure = measurement.structure
    description = SegmentDescription(
        segment_number=structure.label,
        segment_label=structure.title,
        segmented_property_category=ANATOMICAL_STRUCTURE,
        segmented_property_type=STRUCTURE[structure.name],
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            report.model.name, ARTIFICIAL_INTELLIGENCE, report.model.version, source=MANUFACTURER
        ),
        tracking_id=structure.title,
        tracking_uid=provenance.tracking_uid(structure.title),
        anatomic_regions=[BRAIN],
        display_color=CIELabColor.from_rgb(*structure.rgb),
    )
    # highdicom has no argument for the side (its issue 458): post-coordinated by hand, PS3.3 C.8.20.2
    side = CodedConcept.from_code(LATERALITY[structure.side])
    description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    if not measurement.passed:
        description.SegmentDescription = failure_text(measurement)
    return description
