"""Study → the T1-weighted series to use, and why the others are not used.

Image type and timing decide first; names, which differ between sites, only where the header says nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lnc_dicom.errors import NoMagneticResonance, NoT1, TooCoarse
from lnc_dicom.study.attributes import SeriesAttributes, attributes_of, slice_distance_mm
from lnc_dicom.study.select_maps import map_series_of, roles_by_uid
from lnc_dicom.types import Reason, Role, Selection, Series, Study

MIN_SLICES = 20
"""70 mm of a head in the thickest slices that are accepted."""
MAX_SLICE_MM = 3.5
"""Thicker slices show the pallidum in three or fewer; the network was trained up to 5 mm but not validated there."""
MAX_PIXEL_MM = 2.0
"""In-plane limit: the coarsest T1 that was validated has 2 mm pixels."""
MAX_T1_TE_MS = 30.0
"""Longer echo times give T2 weighting (spin echo) or T2* weighting (gradient echo)."""
MAX_SPIN_ECHO_TR_MS = 1200.0
"""Spin echo is T1-weighted below about the T1 of white matter."""
INVERSION_MS = (300.0, 1400.0)
"""Inversion times of MPRAGE-like sequences; those of FLAIR are about 2000 ms and more, of STIR about 180 ms."""
_SAME_SPACING_MM = 0.05
"""Voxels whose size differs by less count as equal."""
_ROUNDING_MM = 0.01
"""Spacing in headers is rounded: 2.000001 mm is 2 mm."""

_T1_WORDS = {"t1", "t1w", "mprage", "mpr", "mp2rage", "bravo", "spgr", "fspgr", "tfl", "tfl3d", "flash", "vibe"}
_OTHER_WORDS = {
    *("t2", "t2w", "flair", "swi", "swan", "pd", "pdw", "bold", "fmri", "rest", "epi", "fieldmap", "b0map", "b1map"),
    *("stir", "dir", "ciss", "fiesta", "hydrops", "mt", "qsm", "tirm", "t2star", "dwi", "dti", "adc", "asl", "pcasl"),
}
_LOCALISER_WORDS = {"localizer", "localiser", "loc", "scout", "survey", "aahead", "aascout", "3plane", "planloc"}
_ANGIO_WORDS = {"tof", "mra", "angio", "pca", "venc", "mip", "inhance"}
_HEAD_PARTS = {"", "BRAIN", "HEAD", "SKULL", "HEADNECK", "CRANIUM", "NEURO"}


def _is_localiser(a: SeriesAttributes) -> bool:
    return "LOCALIZER" in a.image_type or bool(a.words & _LOCALISER_WORDS)


def _is_diffusion(a: SeriesAttributes) -> bool:
    kinds = {"DIFFUSION", "ADC", "FA", "TRACEW", "TENSOR", "TRACE"}
    return a.diffusion or a.contrast == "DIFFUSION" or bool(kinds & set(a.image_type))


def _is_perfusion(a: SeriesAttributes) -> bool:
    kinds = {"PERFUSION", "ASL", "PERFUSION_FFE", "RCBF", "CBF", "MTT", "TTP", "CBV"}
    return a.contrast == "PERFUSION" or bool(kinds & set(a.image_type))


def _is_not_magnitude(a: SeriesAttributes) -> bool:
    return bool({"P", "R", "I", "PHASE", "PHASE MAP", "REAL", "IMAGINARY", "B0", "T1 MAP"} & set(a.image_type))


def _is_of_mixed_planes(a: SeriesAttributes) -> bool:
    """Whether planes differ in orientation or size, as those of a localiser. Gaps and duplicates are found on load."""
    axes = np.array([p.orientation for p in a.planes])
    return len({p.shape for p in a.planes}) > 1 or bool(np.ptp(axes, axis=0).max() > 0.5)  # noqa: PLR2004


def _is_t1_weighted(a: SeriesAttributes) -> bool:
    """Decide by the contrast that the scanner names, then by timing, then by names that people gave."""
    if a.contrast in {"T1", "T2", "T2_STAR", "PROTON_DENSITY", "FLUID_ATTENUATED", "STIR", "TOF"}:
        return a.contrast == "T1"
    named = bool(a.words & _T1_WORDS)
    long_echo = a.te_ms is not None and a.te_ms > MAX_T1_TE_MS
    if long_echo or (a.words & _OTHER_WORDS and not named):
        return False
    if a.ti_ms is not None and a.ti_ms > 0:
        return INVERSION_MS[0] <= a.ti_ms <= INVERSION_MS[1]
    if a.gradient_echo is None or a.tr_ms is None:
        return named
    if a.gradient_echo:
        return _is_t1_gradient_echo(a, named=named)
    return a.tr_ms <= MAX_SPIN_ECHO_TR_MS


def _is_t1_gradient_echo(a: SeriesAttributes, *, named: bool) -> bool:
    """Spoiled gradient echo: a flip angle large for its TR, or a name that says so."""
    if a.te_ms is not None and a.te_ms > MAX_T1_TE_MS / 3 and not named:
        return False  # T2*
    tr_ms, flip_deg = a.tr_ms or 0.0, a.flip_deg or 0.0
    ernst_deg = np.degrees(np.arccos(np.exp(-tr_ms / 1000.0)))  # for T1 = 1 s, grey against white matter
    return named or (tr_ms < 1000 and flip_deg >= ernst_deg)  # noqa: PLR2004


RULES: tuple[tuple[Reason, Callable[[SeriesAttributes], bool]], ...] = (
    (Reason.NOT_MR, lambda a: not a.is_mr),
    (Reason.LOCALISER, _is_localiser),
    (Reason.DIFFUSION, _is_diffusion),
    (Reason.PERFUSION, _is_perfusion),
    (Reason.ANGIOGRAPHY, lambda a: a.angiography or a.contrast == "TOF" or bool(a.words & _ANGIO_WORDS)),
    (Reason.DERIVED, lambda a: "DERIVED" in a.image_type or "SECONDARY" in a.image_type),
    (Reason.NOT_MAGNITUDE, _is_not_magnitude),
    (Reason.OTHER_BODY_PART, lambda a: a.body_part.replace(" ", "") not in _HEAD_PARTS),
    (Reason.NOT_T1, lambda a: not _is_t1_weighted(a)),
    (Reason.TOO_FEW_SLICES, lambda a: len(a.planes) < MIN_SLICES),
    (Reason.OTHER_PLANE_SET, _is_of_mixed_planes),
)
"""A series is not used for the first reason that holds."""


def select(study: Study) -> Selection:
    """Choose the T1-weighted series with the smallest voxels, without contrast agent where there is a choice.

    The selection also holds the series from which FA and CBF come. Raises NoMagneticResonance, NoT1, TooCoarse.
    """
    passed_over: list[tuple[Series, Reason]] = []
    candidates: list[tuple[Series, SeriesAttributes]] = []
    found = [(series, attributes_of(series)) for series in study.series]
    map_series, reasons = map_series_of(found)
    roles = roles_by_uid(map_series)
    for series, attributes in found:
        reason = reasons.get(series.uid) or next((reason for reason, holds in RULES if holds(attributes)), None)
        if reason is None and series.uid not in roles:
            candidates.append((series, attributes))
        elif series.uid not in roles:
            passed_over.append((series, reason or Reason.NOT_T1))
    if not candidates:
        _raise_no_candidate([reason for _, reason in passed_over], list(roles.values()))
    candidates.sort(key=lambda c: _rank(c[1]))
    (chosen, best), *others = candidates
    _refuse_coarse(best)
    passed_over += [(series, _why_worse(attributes, best)) for series, attributes in others]
    return Selection(chosen, tuple(passed_over), map_series)


def _raise_no_candidate(reasons: list[Reason], roles: list[Role]) -> None:
    if not roles and all(reason is Reason.NOT_MR for reason in reasons):
        raise NoMagneticResonance(f"{len(reasons)} series, none with MR images")
    counted = ", ".join([*(f"{reasons.count(r)} {r.value}" for r in Reason if r in reasons), *(r.value for r in roles)])
    raise NoT1(f"no series can be used: {counted}")


def _voxel_mm(a: SeriesAttributes) -> float:
    """Give the geometric mean of the edges of a voxel."""
    return float((max(a.planes[0].pixel_mm) ** 2 * slice_distance_mm(a)) ** (1 / 3))


def _cover_mm(a: SeriesAttributes) -> float:
    return slice_distance_mm(a) * len(a.planes)


def _rank(a: SeriesAttributes) -> tuple[bool, bool, float, bool, float, str]:
    """Sort key of candidates, best first."""
    finest = round(_voxel_mm(a) / _SAME_SPACING_MM)
    return (_is_coarse(a), a.agent, finest, not a.is_3d, -round(_cover_mm(a), -1), a.started)


def _is_coarse(a: SeriesAttributes) -> bool:
    limits = ((slice_distance_mm(a), MAX_SLICE_MM), (max(a.planes[0].pixel_mm), MAX_PIXEL_MM))
    return any(size > limit + _ROUNDING_MM for size, limit in limits)


def _refuse_coarse(a: SeriesAttributes) -> None:
    if _is_coarse(a):
        slice_mm, pixel_mm = slice_distance_mm(a), max(a.planes[0].pixel_mm)
        raise TooCoarse(
            f"the finest T1-weighted series has slices of {slice_mm:.1f} mm and pixels of {pixel_mm:.1f} mm"
        )


def _why_worse(a: SeriesAttributes, best: SeriesAttributes) -> Reason:
    if a.agent and not best.agent:
        return Reason.CONTRAST_GIVEN
    if _voxel_mm(a) > _voxel_mm(best) + _SAME_SPACING_MM:
        return Reason.COARSER
    if _cover_mm(a) < _cover_mm(best):
        return Reason.SMALLER_COVER
    return Reason.LATER
