"""Study → the T1-weighted series that can be used, best first, and why the others are not.

What cannot be told from headers is left to the images: `pipeline.analyse` tries the candidates in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten

import numpy as np

from lnc_dicom.errors import NoMagneticResonance, NoT1, TooCoarse
from lnc_dicom.predictions import freeze
from lnc_dicom.study.attributes import SeriesAttributes, attributes_of, slice_distance_mm, voxel_mm
from lnc_dicom.study.body_region import Region
from lnc_dicom.study.select_maps import map_series_of, roles_by_uid
from lnc_dicom.study.selection import FailedSeries, Selection
from lnc_dicom.study.split import Part, split
from lnc_dicom.study.t1_weighting import (
    RULES,
    is_denoised,
    is_derived,
    is_inversion_image,
    is_named_t1,
    is_prepared,
    is_uniform,
)
from lnc_dicom.types import Caveat, Reason, Role, Series, Study

AFTER_AGENT = "LNC-425"
"""Caveat: a contrast agent was given before the images that were measured."""
DERIVED_USED = "LNC-426"
"""Caveat: the measured images are derived, not as acquired; the study has no others that can be used."""
PREFERRED_FAILED = "LNC-427"
"""Caveat: a T1-weighted series that was preferred could not be measured; another one was."""

MAX_SLICE_MM = 3.5
"""Thicker slices show the pallidum in three or fewer; the network was trained up to 5 mm but not validated there."""
MAX_PIXEL_MM = 2.0
"""In-plane limit: the coarsest T1 that was validated has 2 mm pixels."""
HEAD_MM = 110.0
"""Images that extend less than this along any of their axes do not show a whole head."""
MOST_LETTERS = 160
"""The caveat of a failed series is cut after so many letters; result.json has the whole reason."""
_SAME_SPACING_MM = 0.05
"""Voxels whose size differs by less count as equal."""
_ROUNDING_MM = 0.01
"""Spacing in headers is rounded: 2.000001 mm is 2 mm."""


@dataclass(frozen=True, slots=True)
class T1Candidate:
    """A series, or a consistent part of one, that may be the T1, and what a reader must know of it."""

    series: Series
    attributes: SeriesAttributes
    caveats: tuple[Caveat, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidates:
    """The T1-weighted series of a study, best first (at least one), and every other one with the reason why not."""

    ranked: tuple[T1Candidate, ...]
    passed_over: tuple[tuple[Series, Reason], ...]
    map_series: Mapping[Role, Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the roles read-only."""
        freeze(self, "map_series")

    def selection(self, failed: Sequence[FailedSeries] = ()) -> Selection:
        """Choose the best candidate after those that were tried in vain, which are the first of `ranked`."""
        chosen, *others = self.ranked[len(failed) :]
        worse = ((c.series, _why_worse(c.attributes, chosen.attributes)) for c in others)
        caveats = (*chosen.caveats, *_caveats(chosen.attributes, failed))
        return Selection(chosen.series, (*self.passed_over, *worse), self.map_series, tuple(failed), caveats)


def select(study: Study) -> Selection:
    """Choose the best candidate of a study, see `find_candidates`."""
    return find_candidates(study).selection()


def find_candidates(study: Study) -> Candidates:
    """Find the T1-weighted series of a study, and those from which FA and CBF come.

    Raises NoMagneticResonance, NoT1, TooCoarse.
    """
    found = [(series, attributes_of(series)) for series in study.series]
    map_series, reasons = map_series_of(found)
    roles = roles_by_uid(map_series)
    passed_over = [(series, reasons[series.uid]) for series, _ in found if series.uid in reasons]
    candidates: list[T1Candidate] = []
    for candidate in _parts(found, {*roles, *reasons}):
        reason = next((reason for reason, holds in RULES if holds(candidate.attributes)), None)
        if reason is None:
            candidates.append(candidate)
        else:
            passed_over.append((candidate.series, reason))
    if not candidates:
        _raise_no_candidate([reason for _, reason in passed_over], list(roles.values()))
    usable, excluded = _without_unsuitable(candidates)
    ranked = sorted(usable, key=lambda c: (*(key(c.attributes) for _, key in RANK), c.attributes.started))
    return Candidates(tuple(ranked), (*passed_over, *excluded), map_series)


def _parts(found: Sequence[tuple[Series, SeriesAttributes]], of_maps: set[str]) -> Iterator[T1Candidate]:
    """Give the consistent parts of the series that are not used for maps; these keep all their volumes."""
    for series, attributes in found:
        if series.uid in of_maps:
            continue
        parts = split(series) if attributes.is_mr else (Part(series),)
        for part in parts:
            own = attributes if len(parts) == 1 and part.series is series else attributes_of(part.series)
            yield T1Candidate(part.series, own, part.caveats)


def _without_unsuitable(candidates: Sequence[T1Candidate]) -> tuple[list[T1Candidate], list[tuple[Series, Reason]]]:
    """Leave out inversion images beside their uniform image, and voxels too large. Raises TooCoarse if all are."""
    uniform = [c.attributes for c in candidates if is_uniform(c.attributes)]
    inversion = [c for c in candidates if any(is_inversion_image(c.attributes, u) for u in uniform)]
    rest = [c for c in candidates if not any(c is one for one in inversion)]
    fine, coarse = [c for c in rest if not _is_coarse(c.attributes)], [c for c in rest if _is_coarse(c.attributes)]
    if not fine:
        finest = min((c.attributes for c in coarse), key=voxel_mm)
        slice_mm, pixel_mm = slice_distance_mm(finest), max(finest.planes[0].pixel_mm)
        raise TooCoarse(
            f"the finest T1-weighted series has slices of {slice_mm:.1f} mm and pixels of {pixel_mm:.1f} mm"
        )
    reasons = ((inversion, Reason.INVERSION_IMAGE), (coarse, Reason.TOO_COARSE))
    return fine, [(c.series, reason) for group, reason in reasons for c in group]


def _raise_no_candidate(reasons: list[Reason], roles: list[Role]) -> None:
    if not roles and all(reason is Reason.NOT_MR for reason in reasons):
        raise NoMagneticResonance(f"{len(reasons)} series, none with MR images")
    counted = ", ".join([*(f"{reasons.count(r)} {r.value}" for r in Reason if r in reasons), *(r.value for r in roles)])
    raise NoT1(f"no series can be used: {counted}")


def _caveats(a: SeriesAttributes, failed: Sequence[FailedSeries]) -> Iterator[Caveat]:
    if a.agent:
        text = "a contrast agent was given before the T1-weighted images; volumes were validated without one"
        yield Caveat(AFTER_AGENT, text, is_our_text=True)
    if is_derived(a):
        text = "ImageType says that the T1-weighted images are not as acquired (defaced, filtered, reformatted)"
        yield Caveat(DERIVED_USED, text, is_our_text=True)
    for one in failed:
        yield Caveat(
            PREFERRED_FAILED,
            shorten(f"not measured, another was: {one}", MOST_LETTERS, placeholder=" …"),
            is_our_text=True,
        )


def _covers(a: SeriesAttributes) -> tuple[float, float, float]:
    """Give the extent in mm from the first to the last place, along the columns and along the rows of the images."""
    places = [plane.along_mm for plane in a.planes]
    rows, columns = (n * mm for n, mm in zip(a.planes[0].shape, a.planes[0].pixel_mm, strict=True))
    return float(np.ptp(places)) + slice_distance_mm(a), rows, columns


def _is_coarse(a: SeriesAttributes) -> bool:
    limits = ((slice_distance_mm(a), MAX_SLICE_MM), (max(a.planes[0].pixel_mm), MAX_PIXEL_MM))
    return any(size > limit + _ROUNDING_MM for size, limit in limits)


def _is_timed_only(a: SeriesAttributes) -> bool:
    return not (is_prepared(a) or is_named_t1(a))


def _is_other_sequence(a: SeriesAttributes) -> bool:
    return not (is_prepared(a) or (a.is_3d and a.gradient_echo is not False))


def _uncorrected(a: SeriesAttributes) -> int:
    """Give 0 after a correction for distortion in 3D, 1 where nothing is said, 2 after one in 2D, 3 without."""
    kinds = set(a.image_type)
    if "DIS3D" in kinds:
        return 0
    if "DIS2D" in kinds:
        return 2
    return 3 if "ND" in kinds or "nd" in a.words else 1


RANK: tuple[tuple[Reason, Callable[[SeriesAttributes], float]], ...] = (
    (Reason.SMALLER_COVER, lambda a: min(_covers(a)) < HEAD_MM),
    (Reason.TIMING_ONLY, _is_timed_only),
    (Reason.DOUBTFUL_REGION, lambda a: a.region is Region.DOUBTFUL),
    (Reason.LAST_RESORT, is_derived),
    (Reason.OTHER_SEQUENCE, _is_other_sequence),
    (Reason.CONTRAST_GIVEN, lambda a: a.agent),
    (Reason.NOT_PREPARED, lambda a: not is_prepared(a)),
    (Reason.UNCORRECTED, _uncorrected),
    (Reason.ONE_ECHO, lambda a: not ({"RMS", "MEAN"} & set(a.image_type) or {"rms", "mean"} & a.words)),
    (Reason.DENOISED, is_denoised),
    (Reason.NOT_3D, lambda a: not a.is_3d),
    (Reason.COARSER, lambda a: round(voxel_mm(a) / _SAME_SPACING_MM)),
    (Reason.SMALLER_COVER, lambda a: -round(_covers(a)[0], -1)),
)
"""What a candidate is ranked by, the smallest value first, and why one with a larger value is not used."""


def _why_worse(a: SeriesAttributes, best: SeriesAttributes) -> Reason:
    return next((reason for reason, key in RANK if key(a) != key(best)), Reason.LATER)
