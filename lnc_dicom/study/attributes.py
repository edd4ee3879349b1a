"""Headers of a series → the attributes that decide what it is used for, alike for single-frame and enhanced MR."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from lnc_dicom.study.body_region import Region, region_of
from lnc_dicom.study.contrast_agent import agent_given
from lnc_dicom.study.header_text import plain_text, values_of, words_of
from lnc_dicom.study.values import item, items_of, number, numbers, text
from lnc_dicom.types import Series

T = TypeVar("T")
MR_CLASSES = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
MOST_PIXEL_MM = 50.0
"""No pixel of a head is larger."""
FARTHEST_MM = 1e5
"""No image of a scanner lies farther from its centre."""
SQUARE_TOLERANCE = 0.01
"""Direction cosines are unit vectors at a right angle within this; rounding in headers stays below 0.001."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Position and size of one image. Lengths in mm, positions in LPS.

    orientation
        Direction cosines of the rows, then of the columns (Image Orientation (Patient)).
    pixel_mm
        Spacing between rows, then between columns (Pixel Spacing).
    shape
        Rows, columns.
    """

    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_mm: tuple[float, ...]
    shape: tuple[int, int]

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the image: direction of the rows x direction of the columns."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    @property
    def along_mm(self) -> float:
        """Position of the image along its normal."""
        return float(np.dot(self.normal, self.position_mm))


@dataclass(frozen=True, slots=True)
class SeriesAttributes:
    """What a series is selected by. Times in ms; None where the header does not say.

    text
        Series Description, Protocol Name and the names of the sequence, in lower case, without accents.
    words
        The words of `text`.
    scanning, variants
        Scanning Sequence and Sequence Variant, every value; MP also where the frames say that they are inverted.
    complex_component
        What of the complex image it is: MAGNITUDE, PHASE, REAL, IMAGINARY, MIXED; empty where the header is silent.
    agent
        Whether a contrast agent was given.
    region
        What part of the body the header names.
    missing_geometry
        Attribute of geometry that no image has a usable value of, see `missing_geometry`.
    started
        Series or acquisition time (DICOM TM), empty where unknown.
    """

    is_mr: bool
    image_type: tuple[str, ...]
    text: str
    words: frozenset[str]
    scanning: frozenset[str]
    variants: frozenset[str]
    complex_component: str
    planes: tuple[Plane, ...]
    is_3d: bool
    gradient_echo: bool | None
    tr_ms: float | None
    te_ms: float | None
    ti_ms: float | None
    flip_deg: float | None
    contrast: str
    agent: bool
    region: Region
    diffusion: bool
    angiography: bool
    started: str
    missing_geometry: str = ""


def attributes_of(series: Series) -> SeriesAttributes:
    """Read the attributes of a series from the headers of its instances."""
    header = series.header
    shared = _functional_groups(header)
    timing, frame_type, modifier, echo = (
        item(shared, name) or item(item(header, "PerFrameFunctionalGroupsSequence"), name)
        for name in (
            "MRTimingAndRelatedParametersSequence",
            "MRImageFrameTypeSequence",
            "MRModifierSequence",
            "MREchoSequence",
        )
    )
    converted = item(shared, "UnassignedSharedConvertedAttributesSequence")
    planes = planes_of(series)
    words = plain_text(header, "SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
    return SeriesAttributes(
        is_mr=text(header, "SOPClassUID") in MR_CLASSES,
        image_type=values_of(header, "ImageType"),
        text=words,
        words=words_of(words),
        scanning=frozenset(values_of(header, "ScanningSequence") or values_of(converted, "ScanningSequence")),
        variants=frozenset(
            (*values_of(header, "SequenceVariant"), *values_of(converted, "SequenceVariant"), *_preparation(modifier))
        ),
        complex_component=_first(header, frame_type, "ComplexImageComponent"),
        planes=planes,
        is_3d="3D" in values_of(header, "MRAcquisitionType"),
        gradient_echo=_is_gradient_echo(header),
        tr_ms=_number((header, "RepetitionTime"), (timing, "RepetitionTime"), (converted, "RepetitionTime")),
        te_ms=_number((header, "EchoTime"), (echo, "EffectiveEchoTime"), (converted, "EchoTime")),
        ti_ms=_number((header, "InversionTime"), (modifier, "InversionTimes"), (converted, "InversionTime")),
        flip_deg=_number((header, "FlipAngle"), (timing, "FlipAngle"), (converted, "FlipAngle")),
        contrast=_first(header, frame_type, "AcquisitionContrast"),
        agent=agent_given(header),
        region=region_of(header),
        diffusion="MRDiffusionSequence" in shared or any(number(i.header, "DiffusionBValue") for i in series.instances),
        angiography=text(header, "AngioFlag").upper() == "Y",
        started=text(header, "SeriesTime") or text(header, "AcquisitionTime"),
        missing_geometry="" if planes else missing_geometry(series),
    )


def planes_of(series: Series) -> tuple[Plane, ...]:
    """Give the plane of every image of a series; images without position or spacing are skipped."""
    return tuple(plane for instance in series.instances for plane in frame_planes(instance.header))


def frame_planes(header: Dataset) -> tuple[Plane, ...]:
    """Give the plane of an image, or of its every frame; frames without position or spacing are skipped."""
    if "PerFrameFunctionalGroupsSequence" in header:
        frames = items_of(header, "PerFrameFunctionalGroupsSequence")
    else:
        frames = (header,)
    planes = (_plane(header, *_geometry(header, frame)) for frame in frames)
    return tuple(p for p in planes if p is not None)


def _geometry(header: Dataset, frame: Dataset) -> tuple[Dataset, Dataset, Dataset]:
    """Give what holds position, orientation and spacing: the macros of a frame, or shared ones; else the header."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        return header, header, header
    shared = _functional_groups(header)
    position, orientation, measures = (
        item(frame, name) or item(shared, name)
        for name in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    )
    return position, orientation, measures


def _plane(image: Dataset, position: Dataset, orientation: Dataset, measures: Dataset) -> Plane | None:
    place = numbers(position, "ImagePositionPatient", 3)
    axes = numbers(orientation, "ImageOrientationPatient", 6)
    spacing = numbers(measures, "PixelSpacing", 2)
    rows, columns = (int(number(image, name) or 0) for name in ("Rows", "Columns"))
    if not place or max(map(abs, place)) > FARTHEST_MM or not _are_axes(axes) or min(rows, columns) < 1:
        return None
    if not spacing or not _is_possible(spacing):
        return None
    return Plane(place, axes, spacing, (rows, columns))


def _is_possible(spacing: tuple[float, ...]) -> bool:
    return 0 < min(spacing) <= max(spacing) <= MOST_PIXEL_MM


def _are_axes(cosines: tuple[float, ...]) -> bool:
    """Whether direction cosines are two unit vectors at a right angle."""
    if not cosines or max(map(abs, cosines)) > 1 + SQUARE_TOLERANCE:
        return False
    axes = np.reshape(cosines, (2, 3))
    return bool(np.abs(axes @ axes.T - np.eye(2)).max() <= SQUARE_TOLERANCE)


def missing_geometry(series: Series) -> str:
    """Name the first attribute of geometry that is not usable, of a series of which no image has a plane.

    Attributes that are missing, no numbers, too few, or impossible are not usable.
    """
    if not series.instances:
        return ""
    header = series.header
    position, orientation, measures = _geometry(header, item(header, "PerFrameFunctionalGroupsSequence"))
    spacing = numbers(measures, "PixelSpacing", 2)
    if spacing and not _is_possible(spacing):
        return "PixelSpacing"
    needed = (
        (position, "ImagePositionPatient", 3),
        (orientation, "ImageOrientationPatient", 6),
        (measures, "PixelSpacing", 2),
    )
    return next((name for place, name, count in needed if not numbers(place, name, count)), "ImageOrientationPatient")


def by_place(images: Iterable[T], along_mm: Callable[[T], float], within_mm: float) -> list[list[T]]:
    """Group images that lie at the same place along their normal, in the order along it."""
    places: list[list[T]] = []
    for image in sorted(images, key=along_mm):
        if places and along_mm(image) - along_mm(places[-1][0]) < within_mm:
            places[-1].append(image)
        else:
            places.append([image])
    return places


def is_mosaic(header: Dataset) -> bool:
    """Whether every image is a mosaic: the slices of a volume side by side in one image, as Siemens writes them."""
    return "MOSAIC" in values_of(header, "ImageType")


def slice_distance_mm(attributes: SeriesAttributes) -> float:
    """Give the median distance between neighbouring images; single gaps and duplicates do not change it."""
    steps = np.diff(sorted(p.along_mm for p in attributes.planes))
    steps = steps[steps > 0.01]  # noqa: PLR2004 - closer images lie at the same place
    return float(np.median(steps)) if steps.size else float("inf")


def voxel_mm(attributes: SeriesAttributes) -> float:
    """Give the geometric mean of the edges of a voxel, of the longer of two in the plane; infinite without planes."""
    pixel_mm = max(attributes.planes[0].pixel_mm) if attributes.planes else float("inf")
    return float((pixel_mm**2 * slice_distance_mm(attributes)) ** (1 / 3))


def _functional_groups(header: Dataset) -> Dataset:
    return item(header, "SharedFunctionalGroupsSequence")


def real_world_mapping(header: Dataset) -> Dataset:
    """Give the real-world value mapping (PS3.3 C.7.6.16.2.11) of an image or its first frame, empty without one."""
    places = (header, _functional_groups(header), item(header, "PerFrameFunctionalGroupsSequence"))
    return next((found for place in places if (found := item(place, "RealWorldValueMappingSequence"))), Dataset())


def _preparation(modifier: Dataset) -> tuple[str, ...]:
    """Give MP, as Sequence Variant has it, where Inversion Recovery of enhanced images says YES."""
    return ("MP",) if "YES" in values_of(modifier, "InversionRecovery") else ()


def _first(header: Dataset, frame_type: Dataset, name: str) -> str:
    """Give the first value of an attribute of the image, or of its frames."""
    return next(iter((*values_of(header, name), *values_of(frame_type, name))), "")


def _number(*places: tuple[Dataset, str]) -> float | None:
    """Give the first attribute that is a number; of several values in one attribute, the first."""
    return next((found for place, name in places if (found := number(place, name)) is not None), None)


def _is_gradient_echo(header: Dataset) -> bool | None:
    """Return True for gradient echo, False for spin echo, None where the header does not say: "RM" is neither."""
    sequences = set(values_of(header, "ScanningSequence"))
    if sequences & {"GR", "SE"}:
        return "GR" in sequences
    pulse = next(iter(values_of(header, "EchoPulseSequence")), "")
    return {"GRADIENT": True, "SPIN": False}.get(pulse)
