"""Saliency, FA and CBF on the grid of the T1 → Parametric Maps (PS3.3 A.75), float32, one frame per source slice.

Every slice has a frame, even if empty: OHIF puts the frames of a cropped map on the wrong slices. dcmqi needs the Frame
Anatomy macro.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from highdicom import VOILUTTransformation, Volume
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sr.coding import Code

from lnc_dicom.codes import (
    BRAIN,
    CLASS_ACTIVATION,
    NO_UNITS,
)
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.geometry.resampling import resample
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.report import Report
from lnc_dicom.types import AlignedMap

SERIES_NUMBER = 9007
"""Of the saliency map; those of FA, CBF and relative CBF follow."""


@dataclass(frozen=True, slots=True, eq=False)
class _Map:
    """What an object holds: float32 Volume on the grid of the T1, concept, unit, and the values from black to white."""

    values: Volume = field(repr=False)
    quantity: Code
    unit: Code
    role: str
    title: str
    number: int
    window: tuple[float, float]


def parametric_maps(report: Report, provenance: Provenance) -> Iterator[tuple[str, ParametricMap]]:
    """Encode every map of the report, with its file name."""
    for found in _maps(report):
        yield f"map-{found.role}.dcm", _encode(report, provenance, found)


def _maps(report: Report) -> Iterator[_Map]:
    """Give the mean saliency of all targets, then the measured maps."""
    if report.biomarker is not None and report.biomarker.saliency:
        maps = list(report.biomarker.saliency.values())
        mean = np.asarray(np.mean([one.array for one in maps], axis=0, dtype=np.float32))
        title = report.biomarker.titled("saliency of predictions")
        yield _Map(
            report.volume.with_array(mean), CLASS_ACTIVATION, NO_UNITS, "saliency", title, SERIES_NUMBER, (0.0, 1.0)
        )
    for aligned in report.maps:
        yield _quantity_map(aligned, report.volume)


def _quantity_map(aligned: AlignedMap, volume: Volume) -> _Map:
    """Resample a map to the T1, with the name, code, unit and window of its quantity."""
    quantity = aligned.map.quantity
    properties = QUANTITIES[quantity]
    values = _on_t1(aligned, volume)
    window = properties.window or (0.0, max(float(np.percentile(values.array, 99.5)), 1.0))
    title = f"{properties.name[0].upper()}{properties.name[1:]} on T1 grid"
    number = SERIES_NUMBER + 1 + list(Quantity).index(quantity)
    return _Map(values, properties.code, properties.unit, quantity.value.replace("_", "-"), title, number, window)


def _on_t1(aligned: AlignedMap, volume: Volume) -> Volume:
    """Sample a map at the voxels of the T1, through its alignment: linear, 0 where nothing was measured."""
    values = aligned.map.values
    known = values.with_array(np.nan_to_num(values.array.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0))
    shape = (volume.shape[0], volume.shape[1], volume.shape[2])
    found = resample(known, aligned.to_map_mm @ volume.affine, shape).numpy()
    return volume.with_array(np.ascontiguousarray(found, dtype=np.float32))


def _encode(report: Report, provenance: Provenance, found: _Map) -> ParametricMap:
    low, high = found.window
    array = found.values.array
    mapping = RealWorldValueMapping(
        lut_label=found.role.upper()[:16],
        lut_explanation=found.title,
        unit=found.unit,
        value_range=(float(array.min()), max(float(array.max()), float(array.min()) + 1e-6)),
        slope=1.0,
        intercept=0.0,
        quantity_definition=found.quantity,
    )
    result = ParametricMap(
        source_images=list(report.sources),
        pixel_array=found.values,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[VOILUTTransformation(window_center=(low + high) / 2, window_width=high - low)],
        content_label=found.role.upper().replace("-", "_")[:16],
        content_description=f"{found.title} (RESEARCH)",
        content_creator_name="lnc-dicom^automatic",
        **provenance.common(f"map/{found.role}", found.number, f"AI {found.title} (RESEARCH)"),
    )
    result.BodyPartExamined = "BRAIN"  # not a paired structure, so no Laterality is owed (PS3.3 C.7.3.1)
    result.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_brain()]
    _store_along_normal(result)
    provenance.finish(result)
    if "AcquisitionContextSequence" not in result:
        result.AcquisitionContextSequence = []  # Type 2; an enhanced source may bring an empty one (PS3.3 C.7.6.14)
    return result


def _store_along_normal(result: ParametricMap) -> None:
    """Sort the frames along the normal of the images (row x column direction), the lowest first.

    dcmqi 1.5.7 (so 3D Slicer too) and Cornerstone's adapter take frames in stored order whatever their positions. Both
    expect this order; highdicom writes another.
    """
    across = np.array(
        result.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient, float
    )
    items = list(result.PerFrameFunctionalGroupsSequence)
    places_mm = np.array([item.PlanePositionSequence[0].ImagePositionPatient for item in items], float)
    order = np.argsort(places_mm @ np.cross(across[:3], across[3:]))
    frames = np.frombuffer(result.FloatPixelData, "<f4").reshape(len(items), -1)
    result.FloatPixelData = frames[order].tobytes()
    result.PerFrameFunctionalGroupsSequence = [items[i] for i in order]
    for number, item in enumerate(result.PerFrameFunctionalGroupsSequence, start=1):
        item.FrameContentSequence[0].DimensionIndexValues = number


def _brain() -> Dataset:
    """Give the item of the Frame Anatomy macro (PS3.3 C.7.6.16.2.8)."""
    item = Dataset()
    item.FrameLaterality = "U"
    item.AnatomicRegionSequence = [CodedConcept.from_code(BRAIN)]
    return item
