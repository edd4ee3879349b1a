"""Measurement of a structure → its two groups: TID 1411 with segment and values, TID 1410 with outline and area.

Both have one Tracking Unique Identifier, under which OHIF shows them as one, named by their Finding Site alone, without
the side; without the outline the whole report stays black there. What a segment holds is said once, in the first group.
"""

from __future__ import annotations

import math
from functools import partial

from highdicom import UID
from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom.sr.coding import Code

from lnc_dicom.anatomy import STRUCTURES, Structure
from lnc_dicom.codes import (
    ABSOLUTE_BLOOD_FLOW,
    ANATOMICAL_STRUCTURE,
    AREA,
    CUBIC_MILLIMETRE,
    FRACTIONAL_ANISOTROPY,
    LATERALITY,
    LOCAL_SCHEME,
    MEAN,
    ML_PER_100_G_AND_MINUTE,
    NO_UNITS,
    QUALITY,
    RELATIVE_BLOOD_FLOW,
    SQUARE_MILLIMETRE,
    STRUCTURE,
    SUM_OF_VOXELS,
    UNUSABLE,
    USABLE,
    VOLUME,
)
from lnc_dicom.encode.provenance import Origin
from lnc_dicom.encode.sr.groups import NUMBERS_PER_GROUP, Topic, topic_groups
from lnc_dicom.encode.sr.items import judged, measured
from lnc_dicom.encode.sr.outline import Canvas
from lnc_dicom.provenance import algorithm_of
from lnc_dicom.report import Report, failure_text
from lnc_dicom.types import Measurement, Quantity

QUANTITIES = {
    Quantity.FA: (FRACTIONAL_ANISOTROPY, NO_UNITS, 4),
    Quantity.CBF: (ABSOLUTE_BLOOD_FLOW, ML_PER_100_G_AND_MINUTE, 2),
    Quantity.RELATIVE_CBF: (RELATIVE_BLOOD_FLOW, NO_UNITS, 2),
}
"""Concept, unit and decimals of every quantity (PS3.16 CID 7469, CID 7181)."""

Groups = (
    VolumetricROIMeasurementsAndQualitativeEvaluations
    | PlanarROIMeasurementsAndQualitativeEvaluations
    | MeasurementsAndQualitativeEvaluations
)


def structure_groups(
    measurement: Measurement, report: Report, origin: Origin, seg: Segmentation, canvas: Canvas
) -> list[Groups]:
    """Give both groups of a structure; one that failed has no outline but the number of the gate that it failed."""
    first = _segment_group(measurement, report, origin, seg)
    second = _outline_group(measurement, origin, canvas) if measurement.passed else None
    return [first, second or _failure_group(measurement, origin, canvas)]


def _segment_group(
    measurement: Measurement, report: Report, origin: Origin, seg: Segmentation
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """TID 1411; method and algorithm at group level, where readers look for them."""
    structure = measurement.structure
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(measurement, origin),
        referenced_segment=ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=structure.label,
            source_series=SourceSeriesForSegmentation(report.sources[0].SeriesInstanceUID),
        ),
        finding_category=ANATOMICAL_STRUCTURE,
        finding_type=STRUCTURE[structure.name],
        finding_sites=[site_of(measurement.structure)],
        method=SUM_OF_VOXELS,
        algorithm_id=AlgorithmIdentification(*algorithm_of(report.model)),
        measurements=[*_volume(measurement), *_means(measurement)],
        qualitative_evaluations=[
            judged(QUALITY, USABLE if measurement.passed else UNUSABLE, failure_text(measurement))
        ],
    )


def _outline_group(
    measurement: Measurement, origin: Origin, canvas: Canvas
) -> PlanarROIMeasurementsAndQualitativeEvaluations | None:
    """TID 1410 on a slice of its own that holds much of the structure; None where the structure has no voxel."""
    outline = canvas.outline(measurement.structure.label)
    if outline is None:
        return None
    crowded = 1 + len(_means(measurement)) >= NUMBERS_PER_GROUP  # the area would take the line of the name
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(measurement, origin),
        referenced_region=outline.region(),
        finding_category=ANATOMICAL_STRUCTURE,
        finding_type=STRUCTURE[measurement.structure.name],
        finding_sites=[site_of(measurement.structure)],
        measurements=[] if crowded else [measured(AREA, outline.area_mm2, SQUARE_MILLIMETRE, 1)],
    )


def _failure_group(measurement: Measurement, origin: Origin, canvas: Canvas) -> MeasurementsAndQualitativeEvaluations:
    """TID 1501 with the number of the failed gate, inferred from a point amid the structures of the side.

    A failed structure has no place that may be shown; the point only gives a viewer an image to show the reason on.
    """
    side = [s.label for s in STRUCTURES if s.side is measurement.structure.side]
    failed = next((c for c in measurement.checks if not c.passed and math.isfinite(c.value)), measurement.checks[0])
    name = Code(failed.code, LOCAL_SCHEME, failed.name)
    topic = Topic(measurement.structure.title, site_of(measurement.structure), partial(canvas.anchor, side))
    return topic_groups(topic, origin, [measured(name, failed.value, NO_UNITS, 3)])[0]


def _tracking(measurement: Measurement, origin: Origin) -> TrackingIdentifier:
    title = measurement.structure.title
    return TrackingIdentifier(UID(origin.tracking_uid(title)), title)


def site_of(structure: Structure) -> FindingSite:
    """Name a structure with its side, which is a modifier."""
    return FindingSite(STRUCTURE[structure.name], laterality=LATERALITY[structure.side])


def _volume(measurement: Measurement) -> list[MeasurementItem]:
    """Give the volume in mm³ with its 90 % interval (TID 310); nothing for a structure that failed."""
    if not measurement.passed:
        return []
    low_high = measurement.interval_ml
    interval = None if low_high is None else (low_high[0] * 1000, low_high[1] * 1000)
    return [measured(VOLUME, measurement.volume_ml * 1000, CUBIC_MILLIMETRE, 1, interval)]


def _means(measurement: Measurement) -> list[MeasurementItem]:
    """Means of what was measured in maps, with Derivation Mean (TID 300); a structure that failed has none."""
    return [
        measured(name, measurement.statistics[quantity].mean, unit, digits, derivation=MEAN)
        for quantity, (name, unit, digits) in QUANTITIES.items()
        if quantity in measurement.statistics
    ]
