"""Report → Comprehensive 3D SR after TID 1500 (PS3.16)."""

from __future__ import annotations

import copy

from highdicom import UID
from highdicom.seg import Segmentation
from highdicom.sr import (
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes

from lnc_dicom.codes import BRAIN_MRI
from lnc_dicom.encode.provenance import DEVICE_SERIAL_NUMBER, MANUFACTURER, Provenance
from lnc_dicom.encode.sr.changes import change_groups
from lnc_dicom.encode.sr.outline import Placement
from lnc_dicom.encode.sr.relationships import relate_methods, separate
from lnc_dicom.encode.sr.structures import structure_groups
from lnc_dicom.encode.sr.study_level import study_level_groups
from lnc_dicom.report import BANNER, Report

SERIES_NUMBER = 9002


def measurement_report(report: Report, provenance: Provenance, seg: Segmentation) -> Comprehensive3DSR:
    """Encode every measurement with its segment, site, side, method, algorithm and quality; nothing that is predicted.

    A structure that failed keeps its group and its quality, without its volume.
    """
    placement = Placement(report.labels, report.sources)
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer(report, provenance)),
        procedure_reported=BRAIN_MRI,
        imaging_measurements=[
            *(g for m in report.measurements for g in structure_groups(m, report, provenance, seg, placement)),
            *study_level_groups(report, provenance, placement),
            *change_groups(report.change, provenance, placement),
        ],
        referenced_images=[library_entry(report)],
    )
    document = Comprehensive3DSR(
        evidence=[*report.sources, seg],
        content=content,
        is_complete=all(m.passed for m in report.measurements),
        is_final=False,
        is_verified=False,
        previous_versions=[provenance.replaced.reference()] if provenance.replaced else None,
        **provenance.common("sr", SERIES_NUMBER, "AI measurements (RESEARCH)"),
    )
    document.CompletionFlagDescription = f"Automatic, not reviewed. {BANNER}."
    separate(document)
    relate_methods(document)
    provenance.finish(document)
    return document


def library_entry(report: Report) -> Dataset:
    """Give one image of the series for the image library; all 176 would take ten seconds and add no information.

    highdicom describes single-frame images only: a multi-frame image gets its geometry at the top level.
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


def observer(report: Report, provenance: Provenance) -> ObserverContext:
    """Name the device as in Contributing Equipment (IHE AIR Table 6.5.3.1-1)."""
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=UID(provenance.device_uid()),
            name=MANUFACTURER,
            manufacturer_name=MANUFACTURER,
            model_name=report.model.name,
            serial_number=DEVICE_SERIAL_NUMBER,
        ),
    )
