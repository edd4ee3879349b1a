"""A series of a study with its attributes, as the selection of maps looks at it."""

from __future__ import annotations

from dataclasses import dataclass

from lnc_dicom.study.attributes import SeriesAttributes, is_mosaic
from lnc_dicom.types import Series


@dataclass(frozen=True, slots=True)
class Candidate:
    """A series with its attributes."""

    series: Series
    attributes: SeriesAttributes

    @property
    def derived(self) -> bool:
        """Whether the scanner computed the images."""
        return bool({"DERIVED", "SECONDARY"} & set(self.attributes.image_type))

    @property
    def volumes(self) -> int:
        """Number of images at each place; a mosaic is a volume."""
        planes = self.attributes.planes
        if is_mosaic(self.series.header):
            return len(planes)
        return len(planes) // max(1, len({round(p.along_mm, 1) for p in planes}))
