"""Measurement of a structure → its two groups: TID 1411 with segment and values, TID 1410 with outline and area.

Both have the same Tracking Unique Identifier. OHIF merges them into one, named by the Finding Site alone, without the
side; without the outline it shows the whole report black. Values of the segment are written once, in the first group.
"""

from __future__ import annotations

import math
from functools import partial

from highdicom import UID
from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom.sr.coding import Code

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.codes import (
    ANATOMICAL_STRUCTURE,
    AREA,
    CUBIC_MILLIMETRE,
    LOCAL_SCHEME,
    MEAN,
    NO_UNITS,
    QUALITY,
    SQUARE_MILLIMETRE,
    STRUCTURE,
    SUM_OF_VOXELS,
    UNUSABLE,
    USABLE,
    VOLUME,
)
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.sr.groups import NUMBERS_PER_GROUP, Topic, topic_groups
from lnc_dicom.encode.sr.items import evaluation_item, number_item, site_of
from lnc_dicom.encode.sr.outline import Placement
from lnc_dicom.provenance import algorithm_of
from lnc_dicom.quantities import QUANTITIES
from lnc_dicom.report import Report, failure_text
from lnc_dicom.types import Measurement

Groups = (
    VolumetricROIMeasurementsAndQualitativeEvaluations
    | PlanarROIMeasurementsAndQualitativeEvaluations
    | MeasurementsAndQualitativeEvaluations
)


def structure_groups(
    measurement: Measurement, report: Report, provenance: Provenance, seg: Segmentation, placement: Placement
) -> list[Groups]:
    """Give both groups of a structure; if it failed, the number of the failed gate replaces the outline."""
    first = _segment_group(measurement, report, provenance, seg)
    second = _outline_group(measurement, provenance, placement) if measurement.passed else None
    return [first, second or _failure_group(measurement, provenance, placement)]


def _segment_group(
    measurement: Measurement, report: Report, provenance: Provenance, seg: Segmentation
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """TID 1411; method and algorithm at group level, where readers look for them."""
    structure = measurement.structure
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(measurement, provenance),
        referenced_segment=ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=structure.label,
            source_series=SourceSeriesForSegmentation(report.sources[0].SeriesInstanceUID),
        ),
        finding_category=ANATOMICAL_STRUCTURE,
        finding_type=STRUCTURE[structure.name],
        finding_sites=[site_of(structure)],
        method=SUM_OF_VOXELS,
        algorithm_id=AlgorithmIdentification(*algorithm_of(report.model)),
        measurements=[*_volume(measurement), *_means(measurement)],
        qualitative_evaluations=[
            evaluation_item(QUALITY, USABLE if measurement.passed else UNUSABLE, failure_text(measurement))
        ],
    )


def _outline_group(
    measurement: Measurement, provenance: Provenance, placement: Placement
) -> PlanarROIMeasurementsAndQualitativeEvaluations | None:
    """TID 1410 on a slice of its own that shows much of the structure; None if the structure has no voxel."""
    outline = placement.outline(measurement.structure.label)
    if outline is None:
        return None
    crowded = 1 + len(_means(measurement)) >= NUMBERS_PER_GROUP  # the area would take the place of the name
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(measurement, provenance),
        referenced_region=outline.region(),
        finding_category=ANATOMICAL_STRUCTURE,
        finding_type=STRUCTURE[measurement.structure.name],
        finding_sites=[site_of(measurement.structure)],
        measurements=[] if crowded else [number_item(AREA, outline.area_mm2, SQUARE_MILLIMETRE, 1)],
    )


def _failure_group(
    measurement: Measurement, provenance: Provenance, placement: Placement
) -> MeasurementsAndQualitativeEvaluations:
    """TID 1501 with the number of the failed gate, inferred from a point amid the structures of its side.

    A failed structure has no position that may be shown; the point only gives viewers an image to show the number on.
    """
    side = [s.label for s in STRUCTURES if s.side is measurement.structure.side]
    failed = next((c for c in measurement.checks if not c.passed and math.isfinite(c.value)), measurement.checks[0])
    name = Code(failed.code, LOCAL_SCHEME, failed.name)
    topic = Topic(measurement.structure.title, site_of(measurement.structure), partial(placement.anchor, side))
    return topic_groups(topic, provenance, [number_item(name, failed.value, NO_UNITS, 3)])[0]


def _tracking(measurement: Measurement, provenance: Provenance) -> TrackingIdentifier:
    title = measurement.structure.title
    return TrackingIdentifier(UID(provenance.tracking_uid(title)), title)


def _volume(measurement: Measurement) -> list[MeasurementItem]:
    """Give the volume in mm³ with its 90 % interval (TID 310); none for a structure that failed."""
    if not measurement.passed:
        return []
    low_high = measurement.interval_ml
    interval = None if low_high is None else (low_high[0] * 1000, low_high[1] * 1000)
    return [number_item(VOLUME, measurement.volume_ml * 1000, CUBIC_MILLIMETRE, 1, interval)]


def _means(measurement: Measurement) -> list[MeasurementItem]:
    """Give the means of the maps with Derivation Mean (TID 300); none for a structure that failed."""
    return [
        number_item(p.code, measurement.statistics[quantity].mean, p.unit, p.coded_digits, derivation=MEAN)
        for quantity, p in QUANTITIES.items()
        if quantity in measurement.statistics
    ]
