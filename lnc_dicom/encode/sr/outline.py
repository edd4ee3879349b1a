"""Labels → outlines and points on the source images (SCOORD, PS3.3 C.18.6): what a viewer of SR can draw.

Places go through patient coordinates: from the labels' own affine to millimetres, from there to the columns and rows of
the image that lies there. So the order of files, of slices and of frames plays no part.
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

from lnc_dicom.study.attributes import Plane, frame_planes

_CENTRE = 0.5
"""A pixel's centre, from its top left corner, where SCOORD has its origin (PS3.3 C.18.6.1.1)."""
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Picture:
    """One source image, or one frame of it; `frame` counts from 1 and is None for single-frame images."""

    image: Dataset = field(repr=False)
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
        return SourceImageForRegion(self.image.SOPClassUID, self.image.SOPInstanceUID, frames)


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The closed outline of a structure on one image: points (n, 2), columns and rows; what it encloses, in mm²."""

    picture: Picture
    points: Numbers
    area_mm2: float

    def region(self) -> ImageRegion:
        """Give the region of a planar measurement (TID 1410)."""
        return ImageRegion(GraphicTypeValues.POLYLINE, self.points, self.picture.reference())

    def coordinates(self) -> CoordinatesForMeasurement:
        """Give the coordinates that a number of a group without a region is inferred from (TID 320)."""
        return CoordinatesForMeasurement(GraphicTypeValues.POLYLINE, self.points, self.picture.reference())


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """A point (1, 2), column and row, in the middle of several structures: where a value of all of them is shown."""

    picture: Picture
    point: Numbers

    def coordinates(self) -> CoordinatesForMeasurement:
        """Give the coordinates that a number of a group without a region is inferred from (TID 320)."""
        return CoordinatesForMeasurement(GraphicTypeValues.POINT, self.point, self.picture.reference())


class Canvas:
    """Labels and the images that they were made from; remembers which slices are in use.

    Viewers draw what belongs to one image over each other, so every topic gets a slice of its own, while there are any.
    """

    def __init__(self, labels: Volume, sources: Sequence[Dataset]) -> None:
        self._labels = labels
        self._boxes = ndimage.find_objects(labels.array)
        self._pictures = [picture for source in sources for picture in _pictures(source)]
        self._positions_mm = np.array([picture.plane.position_mm for picture in self._pictures])
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
        """Give every label a slice of its own, so that all show as much of their largest area as they can together."""
        shares = self._areas / np.maximum(self._areas.max(axis=1, initial=0, keepdims=True), 1)
        pairs = zip(*linear_sum_assignment(shares, maximize=True), strict=True)
        return {int(i) + 1: int(k) for i, k in pairs if shares[i, k]}

    def outline(self, label: int) -> Outline | None:
        """Outline a structure where most of it is, on a slice that no other has while there are enough of them.

        Its largest piece there, holes filled; None: no voxel has the label.
        """
        slices = self._slices(label)
        return self._drawn(label, self._best.get(label, slices[0])) if slices else None

    def place(self, label: int) -> Outline | Anchor:
        """Give where more about a structure is shown: its outline on a free slice; where it has none, its middle."""
        free = [k for k in self._slices(label) if k not in self._taken]
        return self._drawn(label, free[0]) if free else self.anchor([label])

    def anchor(self, labels: Collection[int]) -> Anchor:
        """Give the point in the middle of those of the labels that have voxels, on the nearest slice that is free."""
        boxes = [box for box in map(self._box, labels) if box is not None]
        middle = [np.mean([(edge.start + edge.stop - 1) / 2 for edge in edges]) for edges in zip(*boxes, strict=True)]
        index = np.round(middle or (np.array(self._labels.shape) - 1) / 2)
        free = [k for k in range(self._labels.shape[0]) if k not in self._taken] or [int(index[0])]
        index[0] = min(free, key=lambda k: abs(k - index[0]))
        self._taken.add(int(index[0]))
        point_mm = self._in_mm(index[None])
        picture = self._picture_at(point_mm[0])
        return Anchor(picture, picture.pixels(point_mm))

    def _drawn(self, label: int, k: int) -> Outline:
        """Outline a label on slice k of the labels' grid."""
        self._taken.add(k)
        box = self._boxes[label - 1]
        piece = largest_component_of(self._labels.array[k][box[1:]] == label)
        rows_columns = trace(piece) + [box[1].start, box[2].start]
        points_mm = self._in_mm(np.column_stack([np.full(len(rows_columns), k), rows_columns]))
        picture = self._picture_at(points_mm[0])
        return Outline(picture, picture.pixels(points_mm), float(piece.sum() * np.prod(picture.plane.pixel_mm)))

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

    def _picture_at(self, point_mm: Numbers) -> Picture:
        """Give the image in whose plane a point lies."""
        away = (point_mm - self._positions_mm) @ self._pictures[0].plane.normal
        return self._pictures[int(np.abs(away).argmin())]


def largest_component_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Give the largest piece of a (row, column) mask whose pixels share edges, with its holes filled."""
    pieces, count = ndimage.label(mask)
    if count > 1:
        mask = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    return np.asarray(ndimage.binary_fill_holes(mask), bool)


def trace(piece: npt.NDArray[np.bool_]) -> Numbers:
    """Trace a piece without holes: closed line (n, 2), rows and columns, halfway between pixels inside and outside."""
    padded = np.pad(piece.astype(float), 1)
    line = contourpy.contour_generator(z=padded).lines(0.5)[0]  # the only one: there is one piece and no hole
    return np.asarray(line, np.float64)[:, ::-1] - 1


def _pictures(source: Dataset) -> list[Picture]:
    planes = frame_planes(source)
    if "PerFrameFunctionalGroupsSequence" in source:
        return [Picture(source, i, plane) for i, plane in enumerate(planes, start=1)]
    return [Picture(source, None, plane) for plane in planes]
