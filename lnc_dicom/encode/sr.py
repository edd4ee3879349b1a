"""Measurements → Comprehensive 3D SR with TID 1500 (PS3.16), one TID 1411 group per structure."""

from __future__ import annotations

import copy

from highdicom import UID
from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom import Dataset
from pydicom.sr.codedict import codes

from lnc_dicom.codes import (
    ABSOLUTE_BLOOD_FLOW,
    ANATOMICAL_STRUCTURE,
    BRAIN_MRI,
    CUBIC_MILLIMETRE,
    FRACTIONAL_ANISOTROPY,
    LATERALITY,
    MEAN,
    ML_PER_100_G_AND_MINUTE,
    NO_UNITS,
    QUALITY,
    RELATIVE_BLOOD_FLOW,
    STRUCTURE,
    SUM_OF_VOXELS,
    UNUSABLE,
    USABLE,
    VOLUME,
)
from lnc_dicom.encode.items import measured
from lnc_dicom.encode.origin import DEVICE_SERIAL_NUMBER, MANUFACTURER, Origin, software_version
from lnc_dicom.encode.predictions import predicted_items, prediction_groups
from lnc_dicom.encode.relationships import relate_methods
from lnc_dicom.report import BANNER, failure_text
from lnc_dicom.types import Measurement, Quantity, Report

SERIES_NUMBER = 9002

_QUANTITIES = {
    Quantity.FA: (FRACTIONAL_ANISOTROPY, NO_UNITS, 4),
    Quantity.CBF: (ABSOLUTE_BLOOD_FLOW, ML_PER_100_G_AND_MINUTE, 2),
    Quantity.RELATIVE_CBF: (RELATIVE_BLOOD_FLOW, NO_UNITS, 2),
}
"""Concept, unit and decimals of every quantity (PS3.16 CID 7469, CID 7181)."""


def measurement_report(report: Report, origin: Origin, seg: Segmentation) -> Comprehensive3DSR:
    """Encode every measurement with its segment, site, side, method, algorithm and quality.

    A structure that failed keeps its group and its quality, without a number.
    """
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(report, origin)),
        procedure_reported=BRAIN_MRI,
        imaging_measurements=[
            *(_group(m, report, origin, seg) for m in report.measurements),
            *prediction_groups(report.biomarker, origin, with_disease=report.shows_disease),
        ],
        referenced_images=[_library_entry(report)],
    )
    document = Comprehensive3DSR(
        evidence=[*report.sources, seg],
        content=content,
        is_complete=all(m.passed for m in report.measurements),
        is_final=False,
        is_verified=False,
        **origin.common("sr", SERIES_NUMBER, "AI measurements (RESEARCH)"),
    )
    document.CompletionFlagDescription = f"Automatic, not reviewed. {BANNER}."
    document.ContinuityOfContent = "SEPARATE"
    relate_methods(document)
    origin.finish(document)
    return document


def _library_entry(report: Report) -> Dataset:
    """One image of the series for the image library; all 176 would cost ten seconds and say no more.

    highdicom describes single-frame images only; a multi-frame image gets its first frame's attributes at the top.
    """
    entry = copy.copy(min(report.sources, key=lambda source: str(source.SOPInstanceUID)))
    if "PixelSpacing" not in entry:
        volume = report.volume
        entry = Dataset(entry)
        entry.PixelSpacing = list(volume.pixel_spacing)
        entry.SliceThickness = volume.spacing_between_slices
        entry.ImagePositionPatient = list(volume.position)
        entry.ImageOrientationPatient = list(volume.get_plane_orientation()[0].ImageOrientationPatient)
    return entry


def _observer(report: Report, origin: Origin) -> ObserverContext:
    """Name the device as in Contributing Equipment (IHE AIR Table 6.5.3.1-1)."""
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=UID(origin.device_uid()),
            name=MANUFACTURER,
            manufacturer_name=MANUFACTURER,
            model_name=report.model.name,
            serial_number=DEVICE_SERIAL_NUMBER,
        ),
    )


def _group(
    measurement: Measurement, report: Report, origin: Origin, seg: Segmentation
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """TID 1411 for one structure; method and algorithm at group level, where readers look for them."""
    structure = measurement.structure
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(UID(origin.tracking_uid(structure.title)), structure.title),
        referenced_segment=ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=structure.label,
            source_series=SourceSeriesForSegmentation(report.sources[0].SeriesInstanceUID),
        ),
        finding_category=ANATOMICAL_STRUCTURE,
        finding_type=STRUCTURE[structure.name],
        finding_sites=[FindingSite(STRUCTURE[structure.name], laterality=LATERALITY[structure.side])],
        method=SUM_OF_VOXELS,
        algorithm_id=AlgorithmIdentification(
            report.model.name, f"{report.model.version}; lnc-dicom {software_version()}"
        ),
        measurements=[
            *_volume(measurement),
            *_means(measurement),
            *predicted_items(report.biomarker, structure),
        ],
        qualitative_evaluations=[_verdict(measurement)],
    )


def _verdict(measurement: Measurement) -> QualitativeEvaluation:
    """Usable or not; where not, the gate that failed follows as a comment (TID 1411 has no row for a reason)."""
    item = QualitativeEvaluation(
        CodedConcept.from_code(QUALITY), CodedConcept.from_code(USABLE if measurement.passed else UNUSABLE)
    )
    if not measurement.passed:
        reason = TextContentItem(
            CodedConcept.from_code(codes.DCM.Comment), failure_text(measurement), RelationshipTypeValues.HAS_PROPERTIES
        )
        item[0].ContentSequence = ContentSequence([reason])
    return item


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
        for quantity, (name, unit, digits) in _QUANTITIES.items()
        if quantity in measurement.statistics
    ]
