"""Series → its consistent parts: one volume each, as far as headers and, where places collide, pixels tell them apart.

A series may hold magnitude and phase, several echoes or acquisitions, a projection among the slices, or every image
twice. A multi-frame image is a part of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import pydicom

from lnc_dicom.errors import StudyRejected
from lnc_dicom.study.attributes import Plane, by_place, frame_planes
from lnc_dicom.study.load import FRAMES, ORIENTATION_TOLERANCE, SAME_PLACE_MM, check_planes
from lnc_dicom.study.values import NOT_CONVERTED, element_text, number, text, texts
from lnc_dicom.types import Caveat, Instance, Series

LEFT_OUT = "LNC-428"
"""Caveat: images of the measured series were left out: copies of others, or of another size, orientation or kind."""
PART_USED = "LNC-429"
"""Caveat: the measured series holds several volumes; one of them was measured."""

ODD_SHARE = 0.2
"""Images that are fewer than this share of the largest group are left out; larger groups are parts of their own."""
_GE_COMPONENT = 0x0043102F
"""GE's private attribute: 0 magnitude, 1 phase, 2 real, 3 imaginary."""
_COMPONENTS = {
    **dict.fromkeys(("P", "PHASE", "PHASE MAP"), "phase"),
    **dict.fromkeys(("R", "REAL"), "real"),
    **dict.fromkeys(("I", "IMAGINARY"), "imaginary"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """Images of a series that may form one volume, and what was left out of it."""

    series: Series
    caveats: tuple[Caveat, ...] = ()


@dataclass(frozen=True, slots=True)
class _Image:
    """A single-frame image with its plane."""

    instance: Instance
    plane: Plane | None


_Group = tuple[_Image, ...]
_Key = Callable[[_Image], Hashable]


def split(series: Series) -> tuple[Part, ...]:
    """Divide a series into parts; one that is a volume already is given back as it is.

    Reads pixels only of images that lie at the same place and whose headers do not tell them apart.
    """
    frames = [i for i in series.instances if FRAMES in i.header]
    single = [i for i in series.instances if FRAMES not in i.header]
    if not single:
        return tuple(Part(Series(series.uid, (i,)), _others_used(len(frames), "object")) for i in frames)
    images = tuple(_Image(i, next(iter(frame_planes(i.header)), None)) for i in single)
    if not frames and _is_volume(images):
        return (Part(series),)
    kinds = _kinds(images)
    largest = max(map(len, kinds))
    odd = [kind for kind in kinds if len(kind) < ODD_SHARE * largest]
    parts = [part for kind in kinds if len(kind) >= ODD_SHARE * largest for part in _parts(kind)]
    left_out = tuple(_left_out(odd, kinds)) if odd else ()
    named = _others_used(len(parts) + len(frames), "volume")
    single_parts = [
        Part(Series(series.uid, tuple(i.instance for i in group)), (*left_out, *caveats, *named))
        for group, caveats in parts
    ]
    return (*single_parts, *(Part(Series(series.uid, (i,)), named) for i in frames))


def _others_used(count: int, noun: str) -> tuple[Caveat, ...]:
    if count < 2:  # noqa: PLR2004 - one of one
        return ()
    return (Caveat(PART_USED, f"the T1-weighted series holds {count} {noun}s; one of them is used", is_our_text=True),)


def _left_out(odd: Sequence[_Group], kinds: Sequence[_Group]) -> Iterator[Caveat]:
    """Name how many images were left out, and by which attribute they differ from the rest."""
    most = max(kinds, key=len)[0]
    for group in odd:
        why = _difference(group[0], most)
        are = "1 image was" if len(group) == 1 else f"{len(group)} images were"
        yield Caveat(LEFT_OUT, f"{are} left out of the T1-weighted series: {why}", is_our_text=True)


def _difference(image: _Image, other: _Image) -> str:
    if image.plane is None or other.plane is None:
        return "no usable ImagePositionPatient, ImageOrientationPatient or PixelSpacing"
    if image.plane.shape != other.plane.shape:
        return "another size (Rows, Columns)"
    if _component(image) != _component(other):
        return "another ImageType"
    return "another ImageOrientationPatient or PixelSpacing"


def _kinds(images: _Group) -> list[_Group]:
    """Group by what must be equal within a volume: geometry, the part of the complex image, acquired or computed."""
    kinds: list[tuple[Hashable, list[_Image]]] = []
    for image in images:
        component = _component(image)
        like = (k for named, k in kinds if named == component and _is_parallel(k[0].plane, image.plane))
        found = next(like, None)
        if found is None:
            kinds.append((component, [image]))
        else:
            found.append(image)
    return [tuple(group) for _, group in sorted(kinds, key=lambda kind: _order(kind[0]))]


def _is_parallel(one: Plane | None, other: Plane | None) -> bool:
    """Whether planes are alike in orientation, spacing and size; images without a plane are alike."""
    if one is None or other is None:
        return one is other
    values = [np.array([*plane.orientation, *plane.pixel_mm]) for plane in (one, other)]
    return one.shape == other.shape and bool(np.abs(values[0] - values[1]).max() <= ORIENTATION_TOLERANCE)


def _component(image: _Image) -> Hashable:
    """Give what Image Type and Complex Image Component say: phase, real, imaginary; derived, secondary."""
    kinds = [kind.upper() for kind in texts(image.instance.header, "ImageType")]
    named = text(image.instance.header, "ComplexImageComponent").upper()
    parts = {_COMPONENTS[kind] for kind in (*kinds[2:], named) if kind in _COMPONENTS}
    return (*sorted(parts), *(kind for kind in kinds[:2] if kind in {"DERIVED", "SECONDARY"}))


def _of(name: str) -> _Key:
    return lambda image: texts(image.instance.header, name)


def _ge_component(image: _Image) -> Hashable:
    try:
        header = pydicom.dcmread(image.instance.path, stop_before_pixels=True, specific_tags=[_GE_COMPONENT])
    except NOT_CONVERTED:
        return ""
    return element_text(header, _GE_COMPONENT)


KEYS: tuple[_Key, ...] = (
    *(_of(name) for name in ("ImageType", "EchoNumbers", "EchoTime", "InversionTime", "FlipAngle", "RepetitionTime")),
    *(_of(name) for name in ("AcquisitionNumber", "TemporalPositionIdentifier", "TriggerTime", "SeriesDescription")),
    *(_of(name) for name in ("SeriesTime", "AcquisitionDateTime", "AcquisitionTime", "ContentTime")),
    _ge_component,
)
"""What may tell the volumes of a series apart; the first that gives a whole volume counts."""


def _parts(group: _Group) -> list[tuple[_Group, tuple[Caveat, ...]]]:
    """Divide images of one kind: by their headers, else as copies of each other, else by their order."""
    if _is_volume(group):
        return [(group, ())]
    found = _by_keys(group, KEYS)
    if len(found) > 1:
        return [(part, ()) for part in found] if all(map(_is_volume, found)) else [p for f in found for p in _same(f)]
    return _same(group)


def _by_keys(group: _Group, keys: Sequence[_Key]) -> list[_Group]:
    """Divide by the first keys after which a part is a volume; the group itself where none does."""
    if _is_volume(group) or not _collisions(group):
        return [group]
    for n, key in enumerate(keys):
        parts = _by(key, group)
        if len(parts) > 1 and max(map(len, parts)) > 1:
            found = [f for part in parts for f in _by_keys(part, keys[n + 1 :])]
            if any(map(_is_volume, found)):
                return found
    return [group]


def _same(group: _Group) -> list[tuple[_Group, tuple[Caveat, ...]]]:
    """Keep one of the images that show the same at the same place; divide the rest by their order, if they have one."""
    places = _places(group)
    if len(places) == len(group):
        return [(group, ())]
    kept = [_different(place) for place in places]
    copies = len(group) - sum(map(len, kept))
    are = "1 image was" if copies == 1 else f"{copies} images were"
    text_ = f"{are} left out of the T1-weighted series: equal pixels at the same place"
    caveats = (Caveat(LEFT_OUT, text_, is_our_text=True),) if copies else ()
    rest = tuple(image for place in kept for image in place)
    if copies and not _is_volume(rest):
        found = _by_keys(rest, KEYS)
        if len(found) > 1:
            return [(part, caveats) for part in found]
    return [(part, caveats) for part in _in_order(kept)]


def _in_order(places: Sequence[_Group]) -> list[_Group]:
    """Give the n-th images of all places as the n-th part; all as one where their order is not clear."""
    whole = tuple(image for place in places for image in place)
    if len({len(place) for place in places}) == 1:
        for name in ("InstanceNumber", "AcquisitionTime", "ContentTime"):
            orders = [[number(image.instance.header, name) for image in place] for place in places]
            if all(None not in order and len(set(order)) == len(order) for order in orders):
                ranked = [sorted(place, key=lambda i: number(i.instance.header, name) or 0.0) for place in places]
                return [tuple(place[n] for place in ranked) for n in range(len(places[0]))]
    return [whole]


def _different(place: _Group) -> _Group:
    """Give the images of a place without those whose pixels another one has, the first in the order of UIDs kept."""
    if len(place) == 1:
        return place
    return tuple({_pixels(image): image for image in reversed(place)}.values())[::-1]


def _pixels(image: _Image) -> Hashable:
    """Give a digest of the pixels with their scale; of the file where they cannot be decoded."""
    path = image.instance.path
    try:
        dataset = pydicom.dcmread(path)
        scale = (number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept"))
        return scale, hashlib.sha256(dataset.pixel_array.tobytes()).digest()
    except (*NOT_CONVERTED, RuntimeError):
        return hashlib.sha256(path.read_bytes()).digest()


def _is_volume(group: Sequence[_Image]) -> bool:
    """Whether the images are of one kind, of one size, parallel and evenly spaced, each at a place of its own."""
    planes = [image.plane for image in group if image.plane is not None]
    if len(planes) < len(group) or len({_component(image) for image in group}) > 1:
        return False
    try:
        check_planes(planes)
    except StudyRejected:
        return False
    return True


def _collisions(group: _Group) -> bool:
    return len(_places(group)) < len(group)


def _places(group: _Group) -> list[_Group]:
    """Group images that lie at the same place, in the order along their normal; without a plane each is alone."""
    lying = [(image.plane.along_mm, image) for image in group if image.plane]
    places = by_place(lying, itemgetter(0), SAME_PLACE_MM)
    return [*(tuple(image for _, image in place) for place in places), *((i,) for i in group if not i.plane)]


def _by(key: _Key, images: _Group) -> list[_Group]:
    """Group images by a key, in the order of its values."""
    groups: dict[Hashable, list[_Image]] = {}
    for image in images:
        groups.setdefault(key(image), []).append(image)
    return [tuple(group) for _, group in sorted(groups.items(), key=lambda g: _order(g[0]))]


def _order(value: Hashable) -> tuple[tuple[float, str], ...]:
    """Sort numbers as numbers, 2 before 10."""
    values = value if isinstance(value, tuple) else (value,)
    found = []
    for one in values:
        try:
            found.append((float(str(one)), ""))
        except ValueError:
            found.append((float("inf"), str(one)))
    return tuple(found)
