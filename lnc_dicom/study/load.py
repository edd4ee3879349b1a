"""Series → `highdicom.Volume`, and a volume → another grid.

The geometry of a series is checked here, before a voxel is read, because a volume that is built from a series with a
gap measures wrong and looks right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
import torch
from pydicom import Dataset
from torch.nn import functional

from lnc_dicom.errors import (
    DoubledSlices,
    MissingSlices,
    UnevenSlices,
    UnreadablePixels,
    UnsupportedTransferSyntax,
)
from lnc_dicom.study.attributes import Plane, planes_of
from lnc_dicom.study.header_repair import mend
from lnc_dicom.study.transfer_syntaxes import TRANSFER_SYNTAXES
from lnc_dicom.types import Series

SLICE_GAP_RELATIVE_TOLERANCE = 0.01
"""Slices count as evenly spaced within 1 %: rounding in ImagePositionPatient stays below 0.1 %."""
SAME_PLACE_MM = 0.01
"""Images closer than this lie at the same place."""
GAP_FACTOR = 1.5
"""A step of more than this many typical steps means that a slice is missing."""
ORIENTATION_TOLERANCE = 1e-3
"""Direction cosines may differ by this within a series (0.06°)."""
MAX_TILT_COSINE_LOSS = 1e-3
"""The stack may lean by 2.6° from the normal of its slices; more is gantry tilt."""


def load(series: Series) -> tuple[hd.Volume, list[Dataset]]:
    """Read the voxels of a series, as `load_with_repairs` does."""
    volume, sources, _ = load_with_repairs(series)
    return volume, sources


def load_with_repairs(series: Series) -> tuple[hd.Volume, list[Dataset], tuple[str, ...]]:
    """Read the voxels of a series.

    Returns the volume, float32 in scanner units after the modality transform, axes (slice, row, column), the headers
    of its instances without pixels, fit to be copied, and what was repaired in them. Raises MissingSlices,
    DoubledSlices, UnevenSlices, UnsupportedTransferSyntax, UnreadablePixels.
    """
    refuse_transfer_syntax(series)
    check_geometry(series)
    datasets: list[Dataset] = [pydicom.dcmread(instance.path) for instance in series.instances]
    repairs = mend(datasets)
    try:
        volume = _volume(datasets)
    except (ValueError, RuntimeError, AttributeError, NotImplementedError, EOFError) as error:
        raise UnreadablePixels(f"{len(datasets)} objects, {type(error).__name__} while decoding") from error
    for dataset in datasets:
        del dataset.PixelData
        _share_macros(dataset)
    return volume, datasets, repairs


def _share_macros(dataset: Dataset) -> None:
    """Move spacing and orientation from the frames to the shared groups; highdicom looks for them only there.

    Siemens XA writes them per frame, which PS3.3 C.7.6.16 allows; `check_geometry` has made sure that all are equal.
    """
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for name in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            if name in frame:
                shared.setdefault(name, frame[name].value)
                del frame[name]


def _volume(datasets: list[Dataset]) -> hd.Volume:
    """Build the volume without display transforms and real-world maps."""
    if "PerFrameFunctionalGroupsSequence" in datasets[0]:
        image = hd.Image.from_dataset(datasets[0], copy=False)
        return image.get_volume(dtype=np.float32, apply_real_world_transform=False, apply_presentation_lut=False)
    return hd.get_volume_from_series(
        datasets,
        dtype=np.float32,
        apply_real_world_transform=False,
        apply_presentation_lut=False,
        rtol=SLICE_GAP_RELATIVE_TOLERANCE,
        orientation_tol=ORIENTATION_TOLERANCE,
        perpendicular_tol=MAX_TILT_COSINE_LOSS,
    )


def refuse_transfer_syntax(series: Series) -> None:
    """Raise UnsupportedTransferSyntax, by name, for pixels that are not decoded."""
    for instance in series.instances:
        syntax = instance.header.file_meta.TransferSyntaxUID
        if syntax not in TRANSFER_SYNTAXES:
            name = f"private ({syntax})" if syntax.is_private else syntax.name
            raise UnsupportedTransferSyntax(f"transfer syntax {name}")


def check_geometry(series: Series) -> None:
    """Raise unless the images are equal, parallel, evenly spaced and each at a place of its own."""
    planes = planes_of(series)
    images = sum(int(i.header.get("NumberOfFrames") or 1) for i in series.instances)
    if len(planes) < images:
        raise UnevenSlices(f"{images - len(planes)} of {images} images have no position")
    if len(series.instances) > 1 and "NumberOfFrames" in series.header:
        raise DoubledSlices(f"{len(series.instances)} multi-frame images in one series")
    check_planes(planes)


def check_planes(planes: Sequence[Plane]) -> None:
    """Raise unless planes, in any order, are equal, parallel, evenly spaced and each at a place of its own.

    Raises MissingSlices, DoubledSlices, UnevenSlices.
    """
    if len(planes) < 2:  # noqa: PLR2004
        raise MissingSlices("one slice only")
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
    """Look at the steps between neighbours, in the order of their place."""
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
        raise UnevenSlices(f"the stack leans by {np.degrees(np.arccos(cosine)):.1f}° (gantry tilt)")


def resample(volume: hd.Volume, lps_mm: npt.NDArray[np.float64], shape: tuple[int, int, int]) -> torch.Tensor:
    """Sample a volume on another grid, linearly; 0 outside. Finer voxels are averaged first, against aliasing.

    lps_mm
        (4, 4), maps an index of the new grid to LPS millimetres.

    Returns float32 of the new shape.
    """
    image = torch.from_numpy(np.ascontiguousarray(volume.array, dtype=np.float32))
    target_mm = float(np.linalg.norm(lps_mm[:3, :3], axis=0).min())
    factors = [min(n, max(1, int(target_mm / s + 0.01))) for n, s in zip(volume.shape, volume.spacing, strict=True)]
    affine = volume.affine.copy()
    if max(factors) > 1:
        image = functional.avg_pool3d(image[None, None], factors)[0, 0]
        affine[:3, 3] = affine[:3, :3] @ ((np.array(factors) - 1) / 2) + affine[:3, 3]
        affine[:3, :3] = affine[:3, :3] * factors
    return sample(image[None], np.linalg.inv(affine) @ lps_mm, shape)[0]


def sample(channels: torch.Tensor, index: npt.NDArray[np.float64], shape: tuple[int, int, int]) -> torch.Tensor:
    """Sample (C, *old shape) linearly at old index = index (4, 4) @ new index, for every voxel of the new shape."""
    old = np.array(channels.shape[1:], dtype=np.float64)
    # grid_sample counts from -1 to 1 along each axis and names the last axis first
    to_unit = np.diag([*(2 / np.maximum(old - 1, 1)), 1.0])
    to_unit[:3, 3] = -1
    unit = torch.from_numpy((to_unit @ index)[2::-1].copy()).float()
    grid = unit[:, 3].expand(*shape, 3)
    for axis, count in enumerate(shape):
        steps = torch.arange(count).reshape([-1 if a == axis else 1 for a in range(4)])
        grid = grid + steps * unit[:, axis]
    return functional.grid_sample(channels[None], grid[None], align_corners=True)[0]


def sample_labels(
    labels: hd.Volume,
    lps_mm: npt.NDArray[np.float64],
    shape: tuple[int, ...],
    before: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]] | None = None,
) -> npt.NDArray[np.generic]:
    """Take labels onto another grid, from the nearest voxel; 0 outside.

    lps_mm
        (4, 4), maps an index of the new grid to LPS millimetres.
    before
        Maps LPS points (N, 3) of the new grid to where to look, if that is another place.
    """
    back, limit = labels.inverse_affine, np.array(labels.shape)[:, None]
    planes = []
    for i in range(shape[0]):  # plane by plane: the coordinates of a whole head would take gigabytes
        index = np.indices((1, *shape[1:])).reshape(3, -1).astype(float)
        index[0] += i
        points = lps_mm[:3, :3] @ index + lps_mm[:3, 3:]
        if before is not None:
            points = before(points.T).T
        place = np.rint(back[:3, :3] @ points + back[:3, 3:]).astype(int)
        inside = ((place >= 0) & (place < limit)).all(axis=0)
        found = labels.array[tuple(np.clip(place, 0, limit - 1))]
        planes.append(np.where(inside, found, 0).astype(labels.array.dtype).reshape(shape[1:]))
    return np.stack(planes)
