"""Headers of a series → the attributes that decide what it is used for, alike for single-frame and enhanced MR."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage

from lnc_dicom.types import Series

MR_CLASSES = (MRImageStorage, EnhancedMRImageStorage)


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

    words
        Lower-case words of the descriptions, the protocol and the sequence name.
    agent
        Whether a contrast agent was given.
    started
        Series or acquisition time (DICOM TM), empty where unknown.
    """

    is_mr: bool
    image_type: tuple[str, ...]
    words: frozenset[str]
    planes: tuple[Plane, ...]
    is_3d: bool
    gradient_echo: bool | None
    tr_ms: float | None
    te_ms: float | None
    ti_ms: float | None
    flip_deg: float | None
    contrast: str
    agent: bool
    body_part: str
    diffusion: bool
    angiography: bool
    started: str


def attributes_of(series: Series) -> SeriesAttributes:
    """Read the attributes of a series from the headers of its instances."""
    header = series.header
    shared = _functional_groups(header)
    timing = item(shared, "MRTimingAndRelatedParametersSequence")
    frame_type = item(shared, "MRImageFrameTypeSequence")
    text = " ".join(str(header.get(k) or "") for k in ("SeriesDescription", "ProtocolName", "SequenceName"))
    text = f"{text} {header.get('PulseSequenceName') or ''}".lower()
    return SeriesAttributes(
        is_mr=header.SOPClassUID in MR_CLASSES,
        image_type=tuple(str(t).upper() for t in header.get("ImageType") or ()),
        words=frozenset(w for w in re.split(r"[^a-z0-9]+", text) if w),
        planes=planes_of(series),
        is_3d=str(header.get("MRAcquisitionType")) == "3D",
        gradient_echo=_is_gradient_echo(header),
        tr_ms=_number(header.get("RepetitionTime"), timing.get("RepetitionTime")),
        te_ms=_number(header.get("EchoTime"), item(shared, "MREchoSequence").get("EffectiveEchoTime")),
        ti_ms=_number(header.get("InversionTime"), item(shared, "MRModifierSequence").get("InversionTimes")),
        flip_deg=_number(header.get("FlipAngle"), timing.get("FlipAngle")),
        contrast=str(header.get("AcquisitionContrast") or frame_type.get("AcquisitionContrast") or "").upper(),
        agent=bool(header.get("ContrastBolusAgent") or header.get("ContrastBolusAgentSequence")),
        body_part=str(header.get("BodyPartExamined") or "").upper(),
        diffusion="MRDiffusionSequence" in shared
        or any(_number(i.header.get("DiffusionBValue")) for i in series.instances),
        angiography=str(header.get("AngioFlag") or "").upper() == "Y",
        started=str(header.get("SeriesTime") or header.get("AcquisitionTime") or ""),
    )


def planes_of(series: Series) -> tuple[Plane, ...]:
    """Give the plane of every image of a series; images without position or spacing are skipped."""
    return tuple(plane for instance in series.instances for plane in frame_planes(instance.header))


def frame_planes(header: Dataset) -> tuple[Plane, ...]:
    """Give the plane of an image, or of its every frame; frames without position or spacing are skipped."""
    if "PerFrameFunctionalGroupsSequence" in header:
        planes = [_frame_plane(header, frame) for frame in header.PerFrameFunctionalGroupsSequence]
    else:
        planes = [_plane(header, header, header, header)]
    return tuple(p for p in planes if p is not None)


def _frame_plane(header: Dataset, frame: Dataset) -> Plane | None:
    """Give the plane of one frame; each macro may be shared or per frame."""
    shared = _functional_groups(header)
    position, orientation, measures = (
        item(frame, name) or item(shared, name)
        for name in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    )
    return _plane(header, position, orientation, measures)


def _plane(image: Dataset, position: Dataset, orientation: Dataset, measures: Dataset) -> Plane | None:
    place = position.get("ImagePositionPatient")
    axes = orientation.get("ImageOrientationPatient")
    spacing = measures.get("PixelSpacing")
    if place is None or axes is None or spacing is None or len(place) != 3 or len(axes) != 6:  # noqa: PLR2004
        return None
    return Plane(
        tuple(float(x) for x in place),
        tuple(float(x) for x in axes),
        tuple(float(x) for x in spacing),
        (int(image.Rows), int(image.Columns)),
    )


def is_mosaic(header: Dataset) -> bool:
    """Whether every image is a mosaic: the slices of a volume side by side in one image, as Siemens writes them."""
    return "MOSAIC" in {str(kind).upper() for kind in header.get("ImageType") or ()}


def slice_distance_mm(attributes: SeriesAttributes) -> float:
    """Give the median distance between neighbouring images; single gaps and duplicates do not change it."""
    steps = np.diff(sorted(p.along_mm for p in attributes.planes))
    steps = steps[steps > 0.01]  # noqa: PLR2004 - closer images lie at the same place
    return float(np.median(steps)) if steps.size else float("inf")


def _functional_groups(header: Dataset) -> Dataset:
    return item(header, "SharedFunctionalGroupsSequence")


def item(dataset: Dataset, name: str) -> Dataset:
    """Give the first item of a sequence, or an empty dataset."""
    sequence = dataset.get(name)
    return sequence[0] if sequence else Dataset()


def real_world_mapping(header: Dataset) -> Dataset:
    """Give the real-world value mapping (PS3.3 C.7.6.16.2.11) of an image or its first frame, empty without one."""
    frames = header.get("PerFrameFunctionalGroupsSequence") or [Dataset()]
    places = (header, _functional_groups(header), frames[0])
    return next((found for place in places if (found := item(place, "RealWorldValueMappingSequence"))), Dataset())


def _number(*values: object) -> float | None:
    """Return the first value that is a number."""
    for value in values:
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        try:
            return float(first)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
    return None


def _is_gradient_echo(header: Dataset) -> bool | None:
    """Return True for gradient echo, False for spin echo, None where the header does not say."""
    sequence = header.get("ScanningSequence")
    if sequence:
        names = {sequence} if isinstance(sequence, str) else set(sequence)
        return "GR" in names
    pulse = str(header.get("EchoPulseSequence") or "")
    return {"GRADIENT": True, "SPIN": False}.get(pulse)
