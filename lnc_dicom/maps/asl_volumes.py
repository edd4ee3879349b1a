"""Arterial spin labelling series → its volumes, each with what it shows: control, label or M0.

The position of every frame comes from its own header, never from the order of files. Mosaics, which hold a
volume in one image, are taken apart by dcm2niix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt
import pydicom
from highdicom import Volume
from pydicom import Dataset

from lnc_dicom.errors import StudyRejected, UnpairedVolumes, UnreadableSeries
from lnc_dicom.study.attributes import Plane, frame_planes, is_mosaic, item
from lnc_dicom.study.dcm2niix import Converted, convert
from lnc_dicom.study.load import check_planes, refuse_transfer_syntax
from lnc_dicom.types import Series

_PHILIPS_LABEL = (0x2005, 0x1429)
"""Private attribute of Philips' single-frame images: CONTROL or LABEL."""
_PHILIPS_SCALE = (0x2005, 0x100E)
"""Private slope from stored values to the scanner's signal (Chenevert et al., Transl Oncol 2014; 7:65, PMC3998685)."""
_SAME_PLACE_MM = 0.05


class Context(Enum):
    """What an image of arterial spin labelling shows; the values are those of ASL Context (0018,9257)."""

    CONTROL = "CONTROL"
    LABEL = "LABEL"
    M0 = "M_ZERO_SCAN"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image: where it lies, what it shows (None: the header does not say), and its place in time."""

    plane: Plane
    context: Context | None
    order: tuple[float, ...]
    array: npt.NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One volume of a series and what it shows; `order` sorts the volumes of the series by time."""

    context: Context | None
    order: tuple[float, ...]
    volume: Volume = field(repr=False)


def volumes(series: Series, converted: Converted | None = None) -> tuple[Labelled, ...]:
    """Read every volume of a series in temporal order, float32 in the scanner's signal, axes (slice, row, column).

    converted
        The same series from dcm2niix where it is at hand; mosaics are converted here otherwise.

    Raises UnreadableSeries, UnpairedVolumes.
    """
    if is_mosaic(series.header):
        return tuple(_of_mosaics(series, converted or convert(series)))
    try:
        refuse_transfer_syntax(series)
        frames = [frame for instance in series.instances for frame in _frames(pydicom.dcmread(instance.path))]
    except (StudyRejected, ValueError, RuntimeError, AttributeError, NotImplementedError, EOFError) as error:
        raise UnreadableSeries(f"{type(error).__name__} while the images were read") from error
    by_context: dict[Context | None, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_context[frame.context].append(frame)
    made = [v for context, group in by_context.items() for v in _volumes(context, group)]
    return tuple(sorted(made, key=lambda v: v.order))


def _of_mosaics(series: Series, converted: Converted) -> Iterator[Labelled]:
    """Give the volumes of mosaics; dcm2niix orders them by time, and no header of a mosaic names control and label."""
    made = converted.array.shape[3]
    if made != len(series.instances) or converted.array.shape[2] == 1:
        raise UnreadableSeries(f"{made} volumes were made of {len(series.instances)} mosaics")
    lps_mm = converted.lps_mm[:, [2, 1, 0, 3]]
    for i in range(made):
        array = np.ascontiguousarray(converted.array[..., i].transpose(2, 1, 0), np.float32)
        yield Labelled(None, (float(i),), Volume(array, lps_mm, "PATIENT"))


def _frames(dataset: Dataset) -> Iterator[Frame]:
    """Give the frames of a single-frame or multi-frame image, scaled."""
    pixels = dataset.pixel_array
    pixels = pixels[None] if pixels.ndim == 2 else pixels  # noqa: PLR2004
    shared = item(dataset, "SharedFunctionalGroupsSequence")
    groups: Sequence[Dataset] = dataset.get("PerFrameFunctionalGroupsSequence") or [dataset]
    planes = frame_planes(dataset)
    if not len(planes) == len(groups) == len(pixels):
        raise UnreadableSeries("images without a position")
    for plane, group, array in zip(planes, groups, pixels, strict=True):
        yield Frame(plane, _context(dataset, shared, group), _order(dataset, group), _signal(array, shared, group))


def _context(dataset: Dataset, shared: Dataset, group: Dataset) -> Context | None:
    macro = item(group, "MRArterialSpinLabelingSequence") or item(shared, "MRArterialSpinLabelingSequence")
    private = dataset[_PHILIPS_LABEL].value if _PHILIPS_LABEL in dataset else ""
    text = str(macro.get("ASLContext") or private or "").strip().upper()
    return next((context for context in Context if context.value == text), None)


def _order(dataset: Dataset, group: Dataset) -> tuple[float, ...]:
    """Give what sorts a frame in time: temporal position, acquisition, instance number; 0 where missing."""
    content = item(group, "FrameContentSequence")
    position = content.get("TemporalPositionIndex") or dataset.get("TemporalPositionIdentifier")
    acquisition = content.get("FrameAcquisitionNumber") or dataset.get("AcquisitionNumber")
    number = dataset.get("SeriesNumber") if position is None else 0  # volumes of one acquisition, each a series
    return tuple(float(x or 0) for x in (position, acquisition, number, dataset.get("InstanceNumber")))


def _signal(array: npt.NDArray[np.generic], shared: Dataset, group: Dataset) -> npt.NDArray[np.float32]:
    """Apply the rescale, or Philips' private slope, which gives all images of a series the same scale."""
    macro = item(group, "PixelValueTransformationSequence") or item(shared, "PixelValueTransformationSequence") or group
    slope = float(macro.get("RescaleSlope", 1) or 1)
    scaled = array.astype(np.float32) * slope + float(macro.get("RescaleIntercept", 0) or 0)
    private = float(group[_PHILIPS_SCALE].value or 0) if _PHILIPS_SCALE in group else 0.0
    return np.asarray(scaled / (slope * private) if private else scaled, np.float32)


def _volumes(context: Context | None, frames: Sequence[Frame]) -> Iterator[Labelled]:
    """Group the frames of one kind into volumes: the n-th frames at all places form the n-th volume."""
    places: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda f: f.plane.along_mm):
        if places and frame.plane.along_mm - places[-1][0].plane.along_mm < _SAME_PLACE_MM:
            places[-1].append(frame)
        else:
            places.append([frame])
    counts = {len(place) for place in places}
    if len(counts) > 1:
        name = context.value.lower() if context else "unnamed"
        raise UnpairedVolumes(f"{min(counts)} to {max(counts)} {name} images at the places of one series")
    for place in places:
        place.sort(key=lambda f: f.order)
    for n in range(counts.pop()):
        stack_of = [place[n] for place in places]
        yield Labelled(context, min(f.order for f in stack_of), stack(stack_of))


def stack(frames: Sequence[Frame]) -> Volume:
    """Stack frames, sorted along their normal, to a volume, axes (slice, row, column). Raises UnreadableSeries."""
    planes = [frame.plane for frame in frames]
    try:
        check_planes(planes)
    except StudyRejected as error:
        raise UnreadableSeries(error.what) from error
    first, last = planes[0], planes[-1]
    return Volume.from_attributes(  # its slices follow one another against the normal of the images
        array=np.stack([frame.array for frame in reversed(frames)]),
        image_position=last.position_mm,
        image_orientation=first.orientation,
        pixel_spacing=first.pixel_mm,
        spacing_between_slices=(last.along_mm - first.along_mm) / (len(planes) - 1),
        coordinate_system="PATIENT",
    )
