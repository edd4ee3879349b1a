"""Labels → outlines and points on the source images (SCOORD, PS3.3 C.18.6), for viewers of SR to draw.

Positions go through patient coordinates (LPS): from the labels' own affine to millimetres, from there to columns and
rows of the image in whose plane they lie. So the order of files, slices and frames does not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import contourpy
import numpy as np
import numpy.typing as npt
from highdicom import Volume
from highdicom.sr import CoordinatesForMeasurement, GraphicTypeValues, ImageRegion, SourceImageForRegion
from pydicom import Dataset
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from lnc_dicom.segment.components import largest_component
from lnc_dicom.study.attributes import Plane, frame_planes

_CENTRE = 0.5
"""Centre of a pixel, measured from its top left corner, where SCOORD has its origin (PS3.3 C.18.6.1.1)."""
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImageFrame:
    """One source image, or one frame of it; `frame` counts from 1 and is None for single-frame images."""

    header: Dataset = field(repr=False)
    frame: int | None
    plane: Plane

    def pixels(self, points_mm: Numbers) -> Numbers:
        """Map LPS points (n, 3) in mm to (n, 2) columns and rows; 0, 0 is the top left corner of the image."""
        away = points_mm - np.array(self.plane.position_mm)
        axes = np.array(self.plane.orientation).reshape(2, 3)
        return np.asarray(away @ axes.T / np.array(self.plane.pixel_mm)[::-1] + _CENTRE, np.float64)

    def reference(self) -> SourceImageForRegion:
        """Name this image as the one that coordinates are selected from."""
        frames = None if self.frame is None else [self.frame]
        return SourceImageForRegion(self.header.SOPClassUID, self.header.SOPInstanceUID, frames)


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The closed outline of a structure on one image: points (n, 2), columns and rows, and the area enclosed."""

    frame: ImageFrame
    points: Numbers
    area_mm2: float

    def region(self) -> ImageRegion:
        """Give the region of a planar measurement (TID 1410)."""
        return ImageRegion(GraphicTypeValues.POLYLINE, self.points, self.frame.reference())

    def coordinates(self) -> CoordinatesForMeasurement:
        """Give the coordinates that a number of a group without a region is inferred from (TID 320)."""
        return CoordinatesForMeasurement(GraphicTypeValues.POLYLINE, self.points, self.frame.reference())


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """A point (1, 2), column and row, in the middle of several structures, where a value of all of them is shown."""

    frame: ImageFrame
    point: Numbers

    def coordinates(self) -> CoordinatesForMeasurement:
        """Give the coordinates that a number of a group without a region is inferred from (TID 320)."""
        return CoordinatesForMeasurement(GraphicTypeValues.POINT, self.point, self.frame.reference())


class Placement:
    """Decides on which slice of the source images each topic of the report is drawn; remembers which are in use.

    Viewers draw everything that belongs to one image on top of each other, so every topic gets a slice of its own as
    long as there are any.
    """

    def __init__(self, labels: Volume, sources: Sequence[Dataset]) -> None:
        self._labels = labels
        self._boxes = ndimage.find_objects(labels.array)
        self._frames = [frame for source in sources for frame in _frames(source)]
        self._positions_mm = np.array([frame.plane.position_mm for frame in self._frames])
        self._areas = self._count()
        self._best = self._share_out()
        self._taken: set[int] = set(self._best.values())

    def _count(self) -> Numbers:
        """Count the voxels of every label on every slice, (labels, slices)."""
        areas = np.zeros((len(self._boxes), len(self._labels.array)))
        for i, box in enumerate(self._boxes):
            if box is not None:
                areas[i, box[0]] = (self._labels.array[box] == i + 1).sum(axis=(1, 2))
        return areas

    def _share_out(self) -> dict[int, int]:
        """Give every label a slice of its own so that together they show the most of their largest areas."""
        shares = self._areas / np.maximum(self._areas.max(axis=1, initial=0, keepdims=True), 1)
        pairs = zip(*linear_sum_assignment(shares, maximize=True), strict=True)
        return {int(i) + 1: int(k) for i, k in pairs if shares[i, k]}

    def outline(self, label: int) -> Outline | None:
        """Outline a structure where it is large, on a slice that no other structure has if there are enough slices.

        The outline is that of the largest component there, holes filled; None where no voxel has the label.
        """
        slices = self._slices(label)
        return self._drawn(label, self._best.get(label, slices[0])) if slices else None

    def place(self, label: int) -> Outline | Anchor:
        """Give another position for more about a structure: its outline on a free slice, or a point if none is free."""
        free = [k for k in self._slices(label) if k not in self._taken]
        return self._drawn(label, free[0]) if free else self.anchor([label])

    def anchor(self, labels: Collection[int]) -> Anchor:
        """Give the point amid the given labels, on the nearest free slice; amid the volume if none has a voxel."""
        boxes = [box for box in map(self._box, labels) if box is not None]
        middle = [np.mean([(edge.start + edge.stop - 1) / 2 for edge in edges]) for edges in zip(*boxes, strict=True)]
        index = np.round(middle or (np.array(self._labels.shape) - 1) / 2)
        free = [k for k in range(self._labels.shape[0]) if k not in self._taken] or [int(index[0])]
        index[0] = min(free, key=lambda k: abs(k - index[0]))
        self._taken.add(int(index[0]))
        point_mm = self._in_mm(index[None])
        frame = self._frame_at(point_mm[0])
        return Anchor(frame, frame.pixels(point_mm))

    def _drawn(self, label: int, k: int) -> Outline:
        """Outline a label on slice k of the labels' grid."""
        self._taken.add(k)
        box = self._boxes[label - 1]
        component = largest_filled(self._labels.array[k][box[1:]] == label)
        rows_columns = trace(component) + [box[1].start, box[2].start]
        points_mm = self._in_mm(np.column_stack([np.full(len(rows_columns), k), rows_columns]))
        frame = self._frame_at(points_mm[0])
        return Outline(frame, frame.pixels(points_mm), float(component.sum() * np.prod(frame.plane.pixel_mm)))

    def _slices(self, label: int) -> list[int]:
        """Give the slices that hold a label, those with most voxels first."""
        if self._box(label) is None:
            return []
        counts = self._areas[label - 1]
        return [int(k) for k in np.argsort(-counts, kind="stable") if counts[k]]

    def _box(self, label: int) -> tuple[slice, ...] | None:
        return self._boxes[label - 1] if label <= len(self._boxes) else None

    def _in_mm(self, index: Numbers) -> Numbers:
        affine = self._labels.affine
        return np.asarray(index @ affine[:3, :3].T + affine[:3, 3], np.float64)

    def _frame_at(self, point_mm: Numbers) -> ImageFrame:
        """Give the image whose plane lies nearest to a point."""
        away = (point_mm - self._positions_mm) @ self._frames[0].plane.normal
        return self._frames[int(np.abs(away).argmin())]


def largest_filled(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Give the largest component of a (row, column) mask whose pixels share edges, with its holes filled."""
    return np.asarray(ndimage.binary_fill_holes(largest_component(mask)), bool)


def trace(component: npt.NDArray[np.bool_]) -> Numbers:
    """Trace a component without holes: closed line (n, 2) of rows and columns, halfway between inside and outside."""
    padded = np.pad(component.astype(float), 1)
    line = contourpy.contour_generator(z=padded).lines(0.5)[0]  # the only one: there is one component and no hole
    return np.asarray(line, np.float64)[:, ::-1] - 1


def _frames(source: Dataset) -> list[ImageFrame]:
    planes = frame_planes(source)
    if "PerFrameFunctionalGroupsSequence" in source:
        return [ImageFrame(source, i, plane) for i, plane in enumerate(planes, start=1)]
    return [ImageFrame(source, None, plane) for plane in planes]
