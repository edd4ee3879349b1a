"""Study → the series that hold diffusion-weighted images, best first.

Headers only hint: b-values stand in public attributes, in private ones, or in names. Whatever hints is read by
dcm2niix, and a series is as good as the gradients that are found in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from pydicom import Dataset

from lnc_dicom.errors import NotMeasured
from lnc_dicom.study.attributes import SeriesAttributes, voxel_mm
from lnc_dicom.study.body_region import Region
from lnc_dicom.study.candidate import Candidate
from lnc_dicom.study.dcm2niix import convert
from lnc_dicom.study.gradients import B0_MAX, MIN_DIRECTIONS, different_directions, gradients
from lnc_dicom.study.header_text import values_of
from lnc_dicom.study.read import PRIVATE_B_VALUES
from lnc_dicom.study.values import NOT_CONVERTED, items_of
from lnc_dicom.types import Series

NOT_WEIGHTED = {"ADC", "FA", "TRACEW", "TRACE", "TENSOR", "EADC", "COLFA", "EXP", "ISO", "AVG", "FA_COLOR", "RGB"}
"""Image types of what is computed from diffusion-weighted images."""
_SIEMENS_SEQUENCE = re.compile(r"_B\d+")
MOST_VOLUMES = 400
"""A series with more, of which nothing says diffusion, is a functional one."""
_FUNCTIONAL = ("epfid", "bold", "fmri", "rest", "rsfmri", "asl", "pcasl", "pasl")
_WORDS = ("dti", "dwi", "diff", "hardi", "dki", "dsi")


@dataclass(frozen=True, slots=True)
class _Found:
    """A series with what dcm2niix read of its gradients.

    directions
        Number of different axes, where a tensor can be fitted; else 0.
    weighted
        Number of volumes with a b-value.
    certain
        Whether its header says diffusion, or its name does and it has volumes enough for a tensor.
    """

    series: Series
    attributes: SeriesAttributes
    derived: bool
    certain: bool
    directions: int = 0
    weighted: int = 0

    @property
    def rank(self) -> tuple[bool, bool, bool, int, int, float, int, str]:
        """Sort key, best first: a tensor, a head, as acquired, directions, weighted volumes, fineness, slices."""
        a = self.attributes
        doubts = (not self.directions, a.region is Region.ELSEWHERE, self.derived)
        return (*doubts, -self.directions, -self.weighted, round(voxel_mm(a), 1), -len(a.planes), a.started)


def diffusion_series(found: Sequence[tuple[Series, SeriesAttributes]]) -> tuple[Series, ...]:
    """Give the series with diffusion-weighted images, best first, without the images that are computed from others.

    Series that are parts of one acquisition, a volume or b = 0 in each, are joined.
    """
    hinted = [_acquired(series, attributes) for series, attributes in found if _hints(series, attributes)]
    acquired = [one for one in hinted if one is not None]
    if len(acquired) == 1 and acquired[0].certain:
        return (acquired[0].series,)  # nothing to compare it with: it is converted when it is measured
    known = [one for one in map(_ask, acquired) if one is not None]
    alone = [one for one in known if one.directions]
    joined = _join([one for one in known if not one.directions])
    whole = [*alone, *(one for one in joined if one.directions)]
    used = {part.uid for one in (whole or joined) for part in one.series.parts}
    rest = [one for one in known if one.series.uid not in used and (one.weighted or one.certain)]
    return tuple(one.series for one in sorted([*(whole or joined), *rest], key=lambda one: one.rank))


def _hints(series: Series, a: SeriesAttributes) -> bool:
    """Whether a series is worth asking: its header says diffusion, or it is echo-planar and no gradient echo."""
    if not a.is_mr or values_of(series.header, "SamplesPerPixel") not in {(), ("1",)}:
        return False
    if is_certain(series, a) or _is_named(a):
        return True
    spin_echo = "EP" in a.scanning and "GR" not in a.scanning and not any(w.startswith(_FUNCTIONAL) for w in a.words)
    return spin_echo and Candidate(series, a).volumes <= MOST_VOLUMES


def _is_named(a: SeriesAttributes) -> bool:
    return any(word.startswith(_WORDS) for word in a.words)


def is_certain(series: Series, a: SeriesAttributes) -> bool:
    """Whether the header says that images are diffusion-weighted, in a public or private attribute."""
    sequence = " ".join(values_of(series.header, "SequenceName"))
    public = a.diffusion or a.contrast == "DIFFUSION" or "DIFFUSION" in a.image_type
    return public or bool(_SIEMENS_SEQUENCE.search(sequence)) or any(_has_b_value(i.header) for i in series.instances)


def _has_b_value(header: Dataset) -> bool:
    """Whether a private b-value, or one of a frame, is more than 0; a private attribute may hold anything."""
    frames = items_of(header, "PerFrameFunctionalGroupsSequence")
    macros = [item for frame in frames for item in items_of(frame, "MRDiffusionSequence")]
    try:
        private = (float(header[tag].value) for tag in PRIVATE_B_VALUES if tag in header)
        return any(b > 0 for b in (*private, *(float(macro.get("DiffusionBValue") or 0) for macro in macros)))
    except NOT_CONVERTED:
        return False


def as_acquired(series: Series) -> tuple[Series, bool] | None:
    """Leave out images that are computed from others; None where nothing is left.

    Also tells whether all that is left is derived, yet primary: images that were acquired and then corrected.
    """
    for derived, unwanted in ((False, {"DERIVED", "SECONDARY"}), (True, {"SECONDARY"})):
        kept = [i for i in series.instances if not set(values_of(i.header, "ImageType")) & (unwanted | NOT_WEIGHTED)]
        if kept:
            return Series(series.uid, tuple(kept)), derived
    return None


def _acquired(series: Series, attributes: SeriesAttributes) -> _Found | None:
    """Give a series without computed images, its gradients not yet read; None where nothing is left."""
    acquired = as_acquired(series)
    if acquired is None:
        return None
    kept, derived = acquired
    many = Candidate(series, attributes).volumes > MIN_DIRECTIONS and _is_named(attributes)
    certain = not derived and (many or is_certain(series, attributes))
    return _Found(kept, attributes, derived, certain)


def _ask(one: _Found) -> _Found | None:
    """Read the gradients of a series; None where derived images have none."""
    directions, weighted = _count(one.series)
    if one.derived and not directions:
        return None
    return replace(one, directions=directions, weighted=weighted)


def _count(series: Series) -> tuple[int, int]:
    """Give the number of directions that a tensor can be fitted to, and of weighted volumes."""
    weighted = 0
    try:
        converted = convert(series, only_diffusion=True)
        if converted.b_values is not None:
            weighted = int((converted.b_values > B0_MAX).sum())
        b_values, directions = gradients(converted, np.inf)
    except NotMeasured:
        return 0, weighted
    return different_directions(directions[b_values[b_values >= 0] > B0_MAX]), weighted


def _join(parts: Sequence[_Found]) -> list[_Found]:
    """Join series of one grid and echo time that have no tensor alone, the one with most weighted volumes first."""
    joined = []
    for _, group in groupby(sorted(parts, key=_grid), key=_grid):
        several = sorted(group, key=lambda one: one.rank)
        if len(several) > 1:
            series = Series(several[0].series.uid, tuple(i for one in several for i in one.series.instances))
            directions, weighted = _count(series)
            certain = any(one.weighted or one.certain for one in several)
            joined.append(replace(several[0], series=series, certain=certain, directions=directions, weighted=weighted))
    return [one for one in joined if one.directions or one.certain]


def _grid(one: _Found) -> tuple[float, ...]:
    a = one.attributes
    planes = ((*p.orientation, *p.pixel_mm, *p.shape) for p in a.planes)
    return tuple(float(np.round(x, 2)) for x in (*next(planes, ()), a.te_ms or 0.0))
