"""Arterial spin labelling series → its volumes, each with what it shows: control, label or M0.

The position of every frame comes from its own header, never from the order of files. Mosaics, which hold a
volume in one image, are taken apart by dcm2niix.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from highdicom import Volume
from pydicom import Dataset
from pydicom import Sequence as DicomSequence

from lnc_dicom.errors import StudyRejected, UnpairedVolumes, UnreadableSeries
from lnc_dicom.study.asl_series import GE_TECHNIQUE, PHILIPS_LABEL
from lnc_dicom.study.attributes import Plane, by_place, frame_planes, is_mosaic
from lnc_dicom.study.dcm2niix import Converted, convert
from lnc_dicom.study.load import check_planes, refuse_transfer_syntax
from lnc_dicom.study.values import NOT_CONVERTED, element_text, item
from lnc_dicom.types import Series

_PHILIPS_SCALE = 0x2005100E
"""Private slope from stored values to the scanner's signal (Chenevert et al., Transl Oncol 2014; 7:65, PMC3998685)."""
_GE_CONTEXTS = {"PSEUDOCONTINUOUS": "DIFFERENCE", "CONTINUOUS": "M_ZERO_SCAN"}
_GE_EXCITATIONS = 0x00271062
_PHILIPS_FRAME = 0x2005140F
"""Private sequence of Philips' enhanced images that holds, for every frame, what single-frame images hold."""
_SAME_PLACE_MM = 0.05


class Context(Enum):
    """What an image of arterial spin labelling shows; the values are those of ASL Context (0018,9257), and one more.

    DIFFERENCE: control minus label, subtracted by the scanner.
    """

    CONTROL = "CONTROL"
    LABEL = "LABEL"
    M0 = "M_ZERO_SCAN"
    DIFFERENCE = "DIFFERENCE"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image: where it lies, what it shows (None: the header does not say), and its place in time.

    delay_ms
        Post-label delay, of pulsed labelling the inversion time; None where the header does not say.
    excitations
        How many images a perfusion-weighted image of GE is the sum of; None where the header does not say.
    time_s
        When it was acquired, in seconds of the day; None where the header does not say.
    """

    plane: Plane
    context: Context | None
    order: tuple[float, ...]
    delay_ms: float | None
    excitations: float | None
    time_s: float | None
    array: npt.NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One volume of a series and what it shows; `order` sorts the volumes of the series by time.

    delay_ms
        Post-label delay or inversion time of the slice that is acquired first; None where the header does not say.
    excitations, times_s
        As in `Frame`; the times in the order of the slices, empty where one is missing.
    """

    context: Context | None
    order: tuple[float, ...]
    volume: Volume = field(repr=False)
    delay_ms: float | None = None
    excitations: float | None = None
    times_s: tuple[float, ...] = field(default=(), repr=False)


def volumes(series: Series, converted: Converted | None = None) -> tuple[Labelled, ...]:
    """Read every volume of a series in temporal order, float32 in the scanner's signal, axes (slice, row, column).

    converted
        The same series from dcm2niix where it is at hand; mosaics are converted here otherwise.

    Raises UnreadableSeries, UnpairedVolumes.
    """
    try:
        if is_mosaic(series.header):
            return _of_parts(series) if len(series.parts) > 1 else tuple(_of_mosaics(series, converted))
        refuse_transfer_syntax(series)
        frames = [frame for instance in series.instances for frame in _frames(pydicom.dcmread(instance.path))]
    except (StudyRejected, RuntimeError, EOFError, *NOT_CONVERTED) as error:
        raise UnreadableSeries(f"{type(error).__name__} while the images were read") from error
    groups: dict[tuple[Context | None, int], list[Frame]] = defaultdict(list)
    for frame, rank in zip(frames, _delay_ranks(frames), strict=True):
        groups[frame.context, rank].append(frame)
    made = [v for (context, _), group in groups.items() for v in _volumes(context, group)]
    return tuple(sorted(made, key=lambda v: v.order))


def _delay_ranks(frames: Sequence[Frame]) -> list[int]:
    """Give the number of each frame's delay among those at its place; each slice may have its own single delay."""
    delays: dict[tuple[Context | None, float], set[float]] = defaultdict(set)
    for frame in frames:
        delays[frame.context, round(frame.plane.along_mm, 1)].add(frame.delay_ms or 0.0)
    ranks = {key: {delay: i for i, delay in enumerate(sorted(found))} for key, found in delays.items()}
    return [ranks[f.context, round(f.plane.along_mm, 1)][f.delay_ms or 0.0] for f in frames]


def _of_parts(series: Series) -> tuple[Labelled, ...]:
    """Give the volumes of mosaics that a scanner split into several series."""
    made = [v for part in series.parts for v in _of_mosaics(part, None)]
    return tuple(sorted(made, key=lambda v: v.order))


def _of_mosaics(series: Series, converted: Converted | None) -> Iterator[Labelled]:
    """Give the volumes of mosaics; dcm2niix orders them by time, and no header of a mosaic names control and label."""
    converted = converted or convert(series)
    made = converted.array.shape[3]
    if made != len(series.instances) or converted.array.shape[2] == 1:
        raise UnreadableSeries(f"{made} volumes were made of {len(series.instances)} mosaics")
    lps_mm = converted.lps_mm[:, [2, 1, 0, 3]]
    for i, header in enumerate(_in_order_of_time(series)):
        array = np.ascontiguousarray(converted.array[..., i].transpose(2, 1, 0), np.float32)
        delay_ms = _delay_ms(header, Dataset(), Dataset())
        yield Labelled(None, _order(header, Dataset()), Volume(array, lps_mm, "PATIENT"), delay_ms)


def _in_order_of_time(series: Series) -> list[Dataset]:
    """Read the headers of mosaics that tell their time and delay."""
    tags = ["AcquisitionNumber", "InstanceNumber", "SeriesNumber", "InversionTime"]
    headers = [pydicom.dcmread(i.path, stop_before_pixels=True, specific_tags=tags) for i in series.instances]
    return sorted(headers, key=lambda header: _order(header, Dataset()))


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
        context, order = _context(dataset, shared, group), _order(dataset, group)
        delay_ms, signal = _delay_ms(dataset, shared, group), _signal(array, shared, group)
        yield Frame(plane, context, order, delay_ms, _excitations(dataset), _time_s(dataset, group), signal)


def _context(dataset: Dataset, shared: Dataset, group: Dataset) -> Context | None:
    macro = item(group, "MRArterialSpinLabelingSequence") or item(shared, "MRArterialSpinLabelingSequence")
    philips = element_text(_philips_frame(group), PHILIPS_LABEL) or element_text(dataset, PHILIPS_LABEL)
    text = (str(macro.get("ASLContext") or philips or "")).strip().upper()
    text = text or _GE_CONTEXTS.get(element_text(dataset, GE_TECHNIQUE).strip().upper(), "")
    return next((context for context in Context if context.value == text), None)


def _philips_frame(group: Dataset) -> Dataset:
    sequence = group[_PHILIPS_FRAME].value if _PHILIPS_FRAME in group else None
    return sequence[0] if isinstance(sequence, DicomSequence) and sequence else Dataset()


def _delay_ms(dataset: Dataset, shared: Dataset, group: Dataset) -> float | None:
    modifier = item(group, "MRModifierSequence") or item(shared, "MRModifierSequence")
    return positive(modifier.get("InversionTimes")) or positive(dataset.get("InversionTime"))


def _time_s(dataset: Dataset, group: Dataset) -> float | None:
    """Read the time of acquisition (DICOM DT or TM) of a frame in seconds of the day."""
    text = str(item(group, "FrameContentSequence").get("FrameAcquisitionDateTime") or "")[8:]
    clock = re.match(r"(\d{2})(\d{2})(\d{2}(?:\.\d+)?)", text or str(dataset.get("AcquisitionTime") or ""))
    return None if clock is None else 3600 * int(clock[1]) + 60 * int(clock[2]) + float(clock[3])


def _excitations(dataset: Dataset) -> float | None:
    return positive(element_text(dataset, _GE_EXCITATIONS)) or positive(dataset.get("NumberOfAverages"))


def positive(value: Any) -> float | None:  # noqa: ANN401 - a DICOM value may be anything
    """Give the first of the values as a number; None where it is none above zero."""
    first = value[0] if isinstance(value, Sequence) and not isinstance(value, str) and value else value
    try:
        number = float(first)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and number > 0 else None


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
    private = positive(element_text(group, _PHILIPS_SCALE) or element_text(_philips_frame(group), _PHILIPS_SCALE))
    return np.asarray(scaled / (slope * private) if private else scaled, np.float32)


def _volumes(context: Context | None, frames: Sequence[Frame]) -> Iterator[Labelled]:
    """Group the frames of one kind into volumes: the n-th frames at all places form the n-th volume."""
    places = by_place(frames, lambda frame: frame.plane.along_mm, _SAME_PLACE_MM)
    counts = {len(place) for place in places}
    if len(counts) > 1:
        name = context.value.lower() if context else "unnamed"
        raise UnpairedVolumes(f"{min(counts)} to {max(counts)} {name} images at the places of one series")
    for place in places:
        place.sort(key=lambda f: f.order)
    for n in range(counts.pop()):
        stack_of = [place[n] for place in places]
        delay_ms = min((f.delay_ms for f in stack_of if f.delay_ms is not None), default=None)
        order = min(f.order for f in stack_of)
        times_s = [frame.time_s for frame in reversed(stack_of) if frame.time_s is not None]
        times_s = times_s if len(times_s) == len(stack_of) else []
        yield Labelled(context, order, stack(stack_of), delay_ms, stack_of[0].excitations, tuple(times_s))


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
