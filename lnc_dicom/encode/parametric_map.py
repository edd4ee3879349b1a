"""Saliency, FA and CBF on the grid of the T1 → Parametric Maps (PS3.3 A.75), float32, one frame per source slice.

Every slice has a frame, empty ones too: OHIF puts the frames of a cropped map on the wrong slices. The Frame Anatomy
macro is what dcmqi needs.
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
    ABSOLUTE_BLOOD_FLOW,
    BRAIN,
    CLASS_ACTIVATION,
    FRACTIONAL_ANISOTROPY,
    ML_PER_100_G_AND_MINUTE,
    NO_UNITS,
    RELATIVE_BLOOD_FLOW,
)
from lnc_dicom.encode.provenance import Origin
from lnc_dicom.report import Report
from lnc_dicom.study.load import resample
from lnc_dicom.types import AlignedMap, Quantity

SERIES_NUMBER = 9007
"""Of the saliency; the maps of FA, CBF and relative CBF follow."""


@dataclass(frozen=True, slots=True, eq=False)
class _Map:
    """What is written: float32 Volume on the grid of the T1, what it measures, and the values from black to white."""

    values: Volume = field(repr=False)
    quantity: Code
    unit: Code
    role: str
    title: str
    number: int
    window: tuple[float, float]


_QUANTITIES = {
    Quantity.FA: (FRACTIONAL_ANISOTROPY, NO_UNITS, "fa", "FA on T1 grid", (0.0, 1.0)),
    Quantity.CBF: (ABSOLUTE_BLOOD_FLOW, ML_PER_100_G_AND_MINUTE, "cbf", "CBF on T1 grid", (0.0, 100.0)),
    Quantity.RELATIVE_CBF: (RELATIVE_BLOOD_FLOW, NO_UNITS, "relative-cbf", "Relative CBF on T1 grid", None),
}


def parametric_maps(report: Report, origin: Origin) -> Iterator[tuple[str, ParametricMap]]:
    """Encode every map that there is, with the name of its file."""
    for found in _maps(report):
        yield f"map-{found.role}.dcm", _encode(report, origin, found)


def _maps(report: Report) -> Iterator[_Map]:
    """Mean saliency of the answers, then what was measured, linearly interpolated; 0 where nothing was measured."""
    if report.biomarker is not None and report.biomarker.saliency:
        answers = list(report.biomarker.saliency.values())
        mean = np.asarray(np.mean([answer.array for answer in answers], axis=0, dtype=np.float32))
        title = "Saliency of predictions"
        yield _Map(
            report.volume.with_array(mean), CLASS_ACTIVATION, NO_UNITS, "saliency", title, SERIES_NUMBER, (0.0, 1.0)
        )
    for aligned in report.maps:
        place = list(Quantity).index(aligned.map.quantity) + 1
        quantity, unit, role, title, window = _QUANTITIES[aligned.map.quantity]
        values = _on_t1(aligned, report.volume)
        window = window or (0.0, max(float(np.percentile(values.array, 99.5)), 1.0))
        yield _Map(values, quantity, unit, role, title, SERIES_NUMBER + place, window)


def _on_t1(aligned: AlignedMap, volume: Volume) -> Volume:
    """Sample a map at the voxels of the T1, laid on it by its alignment."""
    values = aligned.map.values
    known = values.with_array(np.nan_to_num(values.array.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0))
    shape = (volume.shape[0], volume.shape[1], volume.shape[2])
    found = resample(known, aligned.to_map_mm @ volume.affine, shape).numpy()
    return volume.with_array(np.ascontiguousarray(found, dtype=np.float32))


def _encode(report: Report, origin: Origin, found: _Map) -> ParametricMap:
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
        **origin.common(f"map/{found.role}", found.number, f"AI {found.title} (RESEARCH)"),
    )
    result.BodyPartExamined = "BRAIN"  # not a paired structure, so no Laterality is owed (PS3.3 C.7.3.1)
    result.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_brain()]
    _store_along_normal(result)
    origin.finish(result)
    if "AcquisitionContextSequence" not in result:
        result.AcquisitionContextSequence = []  # Type 2; an enhanced source may bring an empty one (PS3.3 C.7.6.14)
    return result


def _store_along_normal(result: ParametricMap) -> None:
    """Put the frames into the order of the images' normal (row x column direction), from the lowest.

    Readers take frames as they are stored, whatever their positions say: dcmqi 1.5.7, and with it 3D Slicer, and
    Cornerstone's adapter. Both expect this order; highdicom has an order of its own.
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
    """Item of the Frame Anatomy macro (PS3.3 C.7.6.16.2.8)."""
    item = Dataset()
    item.FrameLaterality = "U"
    item.AnatomicRegionSequence = [CodedConcept.from_code(BRAIN)]
    return item
