"""Study → the T1-weighted series to use, and why not the others.

Decided by physics first (type, timing), by names only where the header is silent: names differ between sites.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lnc_dicom.errors import NoMagneticResonance, NoT1, TooCoarse
from lnc_dicom.study.attributes import Traits, slice_distance_mm, traits_of
from lnc_dicom.study.select_maps import map_series_of, roles_by_uid
from lnc_dicom.types import Reason, Role, Selection, Series, Study

MIN_SLICES = 20
"""A head of 70 mm depth at the coarsest slices that are accepted."""
MAX_SLICE_MM = 3.5
"""Thicker slices leave the pallidum three slices or fewer; the network was trained to 5 mm but not validated there."""
MAX_PIXEL_MM = 2.0
"""In-plane limit: the coarsest T1 that was validated has 2 mm pixels."""
MAX_T1_TE_MS = 30.0
"""Longer echo times weigh T2 (spin echo) or T2* (gradient echo)."""
MAX_SPIN_ECHO_TR_MS = 1200.0
"""Spin echo is T1-weighted below about the T1 of white matter."""
INVERSION_MS = (300.0, 1400.0)
"""Inversion times of MPRAGE-like sequences; FLAIR inverts at about 2000 ms and more, STIR at about 180."""
_SAME_SPACING_MM = 0.05
"""Voxels that differ less are equally fine."""
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


def _is_localiser(t: Traits) -> bool:
    return "LOCALIZER" in t.image_type or bool(t.words & _LOCALISER_WORDS)


def _is_diffusion(t: Traits) -> bool:
    kinds = {"DIFFUSION", "ADC", "FA", "TRACEW", "TENSOR", "TRACE"}
    return t.diffusion or t.contrast == "DIFFUSION" or bool(kinds & set(t.image_type))


def _is_perfusion(t: Traits) -> bool:
    kinds = {"PERFUSION", "ASL", "PERFUSION_FFE", "RCBF", "CBF", "MTT", "TTP", "CBV"}
    return t.contrast == "PERFUSION" or bool(kinds & set(t.image_type))


def _is_not_magnitude(t: Traits) -> bool:
    return bool({"P", "R", "I", "PHASE", "PHASE MAP", "REAL", "IMAGINARY", "B0", "T1 MAP"} & set(t.image_type))


def _is_of_mixed_planes(t: Traits) -> bool:
    """Localiser-like: planes of different orientation or size. Gaps and doubles are told apart later, by volume."""
    axes = np.array([p.orientation for p in t.planes])
    return len({p.shape for p in t.planes}) > 1 or bool(np.ptp(axes, axis=0).max() > 0.5)  # noqa: PLR2004


def _is_t1_weighted(t: Traits) -> bool:
    """Decide from the contrast the scanner names, then timing, then the names people gave."""
    if t.contrast in {"T1", "T2", "T2_STAR", "PROTON_DENSITY", "FLUID_ATTENUATED", "STIR", "TOF"}:
        return t.contrast == "T1"
    named = bool(t.words & _T1_WORDS)
    long_echo = t.te_ms is not None and t.te_ms > MAX_T1_TE_MS
    if long_echo or (t.words & _OTHER_WORDS and not named):
        return False
    if t.ti_ms is not None and t.ti_ms > 0:
        return INVERSION_MS[0] <= t.ti_ms <= INVERSION_MS[1]
    if t.gradient_echo is None or t.tr_ms is None:
        return named
    if t.gradient_echo:
        return _is_t1_gradient_echo(t, named=named)
    return t.tr_ms <= MAX_SPIN_ECHO_TR_MS


def _is_t1_gradient_echo(t: Traits, *, named: bool) -> bool:
    """Spoiled gradient echo: a flip angle large for its TR, or a name that says so."""
    if t.te_ms is not None and t.te_ms > MAX_T1_TE_MS / 3 and not named:
        return False  # T2*
    tr_ms, flip_deg = t.tr_ms or 0.0, t.flip_deg or 0.0
    ernst_deg = np.degrees(np.arccos(np.exp(-tr_ms / 1000.0)))  # for T1 = 1 s, grey against white matter
    return named or (tr_ms < 1000 and flip_deg >= ernst_deg)  # noqa: PLR2004


RULES: tuple[tuple[Reason, Callable[[Traits], bool]], ...] = (
    (Reason.NOT_MR, lambda t: not t.is_mr),
    (Reason.LOCALISER, _is_localiser),
    (Reason.DIFFUSION, _is_diffusion),
    (Reason.PERFUSION, _is_perfusion),
    (Reason.ANGIOGRAPHY, lambda t: t.angiography or t.contrast == "TOF" or bool(t.words & _ANGIO_WORDS)),
    (Reason.DERIVED, lambda t: "DERIVED" in t.image_type or "SECONDARY" in t.image_type),
    (Reason.NOT_MAGNITUDE, _is_not_magnitude),
    (Reason.OTHER_BODY_PART, lambda t: t.body_part.replace(" ", "") not in _HEAD_PARTS),
    (Reason.NOT_T1, lambda t: not _is_t1_weighted(t)),
    (Reason.TOO_FEW_SLICES, lambda t: len(t.planes) < MIN_SLICES),
    (Reason.OTHER_PLANE_SET, _is_of_mixed_planes),
)
"""A series is passed over for the first reason that holds. To read the rules is to read the specification."""


def select(study: Study) -> Selection:
    """Choose the T1-weighted series with the smallest voxels, without contrast agent where there is a choice.

    Beside it, the series from which FA and CBF come. Raises NoMagneticResonance, NoT1, TooCoarse.
    """
    passed_over: list[tuple[Series, Reason]] = []
    candidates: list[tuple[Series, Traits]] = []
    found = [(series, traits_of(series)) for series in study.series]
    map_series, reasons = map_series_of(found)
    roles = roles_by_uid(map_series)
    for series, traits in found:
        reason = reasons.get(series.uid) or next((reason for reason, holds in RULES if holds(traits)), None)
        if reason is None and series.uid not in roles:
            candidates.append((series, traits))
        elif series.uid not in roles:
            passed_over.append((series, reason or Reason.NOT_T1))
    if not candidates:
        _raise_no_candidate([reason for _, reason in passed_over], list(roles.values()))
    candidates.sort(key=lambda c: _rank(c[1]))
    (chosen, best), *others = candidates
    _refuse_coarse(best)
    passed_over += [(series, _why_worse(traits, best)) for series, traits in others]
    return Selection(chosen, tuple(passed_over), map_series)


def _raise_no_candidate(reasons: list[Reason], roles: list[Role]) -> None:
    if not roles and all(reason is Reason.NOT_MR for reason in reasons):
        raise NoMagneticResonance(f"{len(reasons)} series, none of MR images")
    counted = ", ".join([*(f"{reasons.count(r)} {r.value}" for r in Reason if r in reasons), *(r.value for r in roles)])
    raise NoT1(f"no series can be used: {counted}")


def _voxel_mm(t: Traits) -> float:
    """Geometric mean of the voxel's edges."""
    return float((max(t.planes[0].pixel_mm) ** 2 * slice_distance_mm(t)) ** (1 / 3))


def _cover_mm(t: Traits) -> float:
    return slice_distance_mm(t) * len(t.planes)


def _rank(t: Traits) -> tuple[bool, bool, float, bool, float, str]:
    """Order candidates, best first."""
    finest = round(_voxel_mm(t) / _SAME_SPACING_MM)
    return (_is_coarse(t), t.agent, finest, not t.is_3d, -round(_cover_mm(t), -1), t.started)


def _is_coarse(t: Traits) -> bool:
    limits = ((slice_distance_mm(t), MAX_SLICE_MM), (max(t.planes[0].pixel_mm), MAX_PIXEL_MM))
    return any(size > limit + _ROUNDING_MM for size, limit in limits)


def _refuse_coarse(t: Traits) -> None:
    if _is_coarse(t):
        slice_mm, pixel_mm = slice_distance_mm(t), max(t.planes[0].pixel_mm)
        raise TooCoarse(
            f"the finest T1-weighted series has slices of {slice_mm:.1f} mm and pixels of {pixel_mm:.1f} mm"
        )


def _why_worse(t: Traits, best: Traits) -> Reason:
    if t.agent and not best.agent:
        return Reason.CONTRAST_GIVEN
    if _voxel_mm(t) > _voxel_mm(best) + _SAME_SPACING_MM:
        return Reason.COARSER
    if _cover_mm(t) < _cover_mm(best):
        return Reason.SMALLER_COVER
    return Reason.LATER
