"""Series → `highdicom.Volume`.

The geometry of a series is checked before any voxel is read: a volume that is built from a series with a gap looks
right and measures wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import highdicom as hd
import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.uid import UID
from pydicom.valuerep import format_number_as_ds

from lnc_dicom.errors import (
    DoubledSlices,
    MissingSlices,
    UnevenSlices,
    UnreadablePixels,
    UnsupportedTransferSyntax,
)
from lnc_dicom.study.attributes import Plane, missing_geometry, planes_of, real_world_mapping
from lnc_dicom.study.header_repair import repair
from lnc_dicom.study.transfer_syntaxes import TRANSFER_SYNTAXES
from lnc_dicom.study.values import NOT_CONVERTED, item, number, text
from lnc_dicom.types import Series

FRAMES = "PerFrameFunctionalGroupsSequence"
"""What a multi-frame image has and one that says that it has one frame (Hitachi) has not."""
SLICE_GAP_RELATIVE_TOLERANCE = 0.01
"""Slices count as evenly spaced within 1 %: rounding in ImagePositionPatient stays below 0.1 %."""
SAME_PLACE_MM = 0.01
"""Images closer than this lie at the same place."""
GAP_FACTOR = 1.5
"""A step of more than this many median steps means that a slice is missing."""
ORIENTATION_TOLERANCE = 1e-3
"""Direction cosines may differ by this within a series (0.06°)."""
MAX_TILT_COSINE_LOSS = 1e-3
"""The stack may be tilted by 2.6° against the normal of its slices; more is gantry tilt."""


def load(series: Series, *, real_world: bool = False) -> tuple[hd.Volume, list[Dataset]]:
    """Read the voxels of a series, as `load_with_repairs` does."""
    volume, sources, _ = load_with_repairs(series, real_world=real_world)
    return volume, sources


def load_with_repairs(series: Series, *, real_world: bool = False) -> tuple[hd.Volume, list[Dataset], tuple[str, ...]]:
    """Read the voxels of a series.

    real_world
        Map stored values to real-world values (PS3.3 C.7.6.16.2.11) where the first image has such a mapping, each
        image or frame by its own; else, and always without `real_world`, by the modality transform.

    Returns the volume, float32, axes (slice, row, column), the headers of its instances without pixels, valid so
    that they can be copied, and what was repaired in them. Raises MissingSlices, DoubledSlices, UnevenSlices,
    UnsupportedTransferSyntax, UnreadablePixels.
    """
    refuse_transfer_syntax(series)
    check_geometry(series)
    datasets: list[Dataset] = [pydicom.dcmread(instance.path) for instance in series.instances]
    repairs = repair(datasets)
    for dataset in datasets:
        _complete(dataset, datasets[0])
    try:
        volume = _volume(datasets, real_world=real_world and bool(real_world_mapping(datasets[0])))
    except (*NOT_CONVERTED, RuntimeError, EOFError) as error:
        raise UnreadablePixels(f"{len(datasets)} objects, {type(error).__name__} while decoding") from error
    for dataset in datasets:
        del dataset.PixelData
        _share_macros(dataset)
    return volume, datasets, (*repairs, *_complete_thickness(datasets, float(volume.spacing[0])))


def _complete_thickness(datasets: list[Dataset], distance_mm: float) -> Iterator[str]:
    """Give images without a usable SliceThickness the distance between slices: highdicom needs one for every object."""
    holders = [d for d in datasets if FRAMES not in d]
    holders += [item(d.SharedFunctionalGroupsSequence[0], "PixelMeasuresSequence") for d in datasets if FRAMES in d]
    without = [holder for holder in holders if not number(holder, "SliceThickness")]
    for holder in without:
        holder.pop("SliceThickness", None)
        holder.SliceThickness = format_number_as_ds(distance_mm)
    if without:
        yield "SliceThickness missing or not valid, the distance between slices is used"


def _complete(dataset: Dataset, first: Dataset) -> None:
    """Give the form that highdicom expects: shared groups of a multi-frame image, one frame without a number.

    Orientation and spacing, which `check_geometry` has found equal but for rounding, become those of the first image.
    """
    if FRAMES in dataset:
        dataset.setdefault("SharedFunctionalGroupsSequence", [Dataset()])
    else:
        dataset.pop("NumberOfFrames", None)
        dataset.ImageOrientationPatient, dataset.PixelSpacing = first.ImageOrientationPatient, first.PixelSpacing
    if not number(dataset, "SpacingBetweenSlices"):
        dataset.pop("SpacingBetweenSlices", None)  # optional, and copied by highdicom


def _share_macros(dataset: Dataset) -> None:
    """Move spacing and orientation from the frames to the shared groups; highdicom looks for them only there.

    Siemens XA writes them per frame, which PS3.3 C.7.6.16 allows; `check_geometry` has made sure that all are equal.
    """
    if FRAMES not in dataset:
        return
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for name in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            if name in frame:
                shared.setdefault(name, frame[name].value)
                del frame[name]


def _volume(datasets: list[Dataset], *, real_world: bool) -> hd.Volume:
    """Build the volume without display transforms; with `real_world`, every image must have a real-world mapping."""
    if FRAMES in datasets[0]:
        image = hd.Image.from_dataset(datasets[0], copy=False)
        return image.get_volume(dtype=np.float32, apply_real_world_transform=real_world, apply_presentation_lut=False)
    return hd.get_volume_from_series(
        datasets,
        dtype=np.float32,
        apply_real_world_transform=real_world,
        apply_presentation_lut=False,
        rtol=SLICE_GAP_RELATIVE_TOLERANCE,
        orientation_tol=ORIENTATION_TOLERANCE,
        perpendicular_tol=MAX_TILT_COSINE_LOSS,
    )


def refuse_transfer_syntax(series: Series) -> None:
    """Raise UnsupportedTransferSyntax, with the name of the syntax, for pixels that cannot be decoded."""
    for instance in series.instances:
        syntax = UID(text(instance.header.file_meta, "TransferSyntaxUID"))
        if syntax not in TRANSFER_SYNTAXES:
            name = f"private ({syntax})" if syntax.is_private else syntax.name
            raise UnsupportedTransferSyntax(f"transfer syntax {name}")


def check_geometry(series: Series) -> None:
    """Raise unless the images are of one size, parallel, evenly spaced, and none lies where another does."""
    if any(text(i.header, "ConcatenationUID") for i in series.instances):
        raise MissingSlices("a multi-frame image divided over several objects (ConcatenationUID) is not joined")
    planes = planes_of(series)
    images = sum(int(number(i.header, "NumberOfFrames") or 1) for i in series.instances)
    if not planes:
        raise UnevenSlices(f"{missing_geometry(series)} is missing or not valid in every image")
    if len(planes) < images:
        raise UnevenSlices(
            f"{images - len(planes)} of {images} images have no usable position "
            "(ImagePositionPatient, ImageOrientationPatient, PixelSpacing)"
        )
    if len(series.instances) > 1 and any(FRAMES in i.header for i in series.instances):
        raise DoubledSlices(f"{len(series.instances)} multi-frame images in one series")
    check_planes(planes)


def check_planes(planes: Sequence[Plane]) -> None:
    """Raise unless planes, in any order, are of one size, parallel, evenly spaced, and none lies where another does.

    Raises MissingSlices, DoubledSlices, UnevenSlices.
    """
    if len(planes) < 2:  # noqa: PLR2004
        raise MissingSlices("only one slice")
    _check_equal(planes)
    _check_spacing(sorted(planes, key=lambda plane: plane.along_mm))


def _check_equal(planes: Sequence[Plane]) -> None:
    if len({plane.shape for plane in planes}) > 1:
        raise UnevenSlices("images of different size in one series")
    if np.ptp([plane.orientation for plane in planes], axis=0).max() > ORIENTATION_TOLERANCE:
        raise UnevenSlices("images that are not parallel in one series")
    if np.ptp([plane.pixel_mm for plane in planes], axis=0).max() > ORIENTATION_TOLERANCE:
        raise UnevenSlices("images of different pixel spacing in one series")


def _check_spacing(planes: Sequence[Plane]) -> None:
    """Check the steps between neighbours; the planes are sorted by position."""
    steps = np.diff([plane.along_mm for plane in planes])
    doubled = int((steps < SAME_PLACE_MM).sum())
    if doubled:
        raise DoubledSlices(f"{doubled} of {len(planes)} images lie where another one lies")
    typical = float(np.median(steps))
    after = int(steps.argmax())
    if steps[after] > GAP_FACTOR * typical:
        raise MissingSlices(f"a gap of {steps[after]:.1f} mm after slice {after + 1}, expected {typical:.1f} mm")
    worst = float(np.abs(steps - typical).max())
    if worst > SLICE_GAP_RELATIVE_TOLERANCE * typical:
        raise UnevenSlices(f"steps between slices differ by up to {worst:.2f} mm from {typical:.2f} mm")
    whole = np.subtract(planes[-1].position_mm, planes[0].position_mm)
    cosine = float(np.dot(whole, planes[0].normal) / np.linalg.norm(whole))
    if cosine < 1 - MAX_TILT_COSINE_LOSS:
        raise UnevenSlices(f"the stack is tilted by {np.degrees(np.arccos(cosine)):.1f}° (gantry tilt)")
