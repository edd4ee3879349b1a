"""Attributes of a series → whether it can be a T1-weighted image of a head, and by which evidence.

The preparation and the contrast that the scanner names decide first, then timing, then names that people gave.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

from lnc_dicom.study.attributes import SeriesAttributes
from lnc_dicom.study.body_region import Region
from lnc_dicom.types import Reason

MIN_SLICES = 20
"""70 mm of a head in the thickest slices that are accepted."""
MAX_T1_TE_MS = 30.0
"""Longer echo times give T2 weighting (spin echo) or T2* weighting (gradient echo)."""
SPIN_ECHO_TR_MS = (200.0, 1200.0)
"""Spin echo is T1-weighted below about the T1 of white matter; a shorter TR than this is none of a spin echo."""
INVERSION_MS = (300.0, 1400.0)
"""Inversion times of MPRAGE-like sequences; those of FLAIR are about 2000 ms and more, of STIR about 180 ms."""
MAX_GRADIENT_INVERSION_MS = 1700.0
"""Inversion times of gradient echoes at 7 T are longer; the second image of an MP2RAGE comes after 1800 ms and more."""
MIN_ERNST_SHARE = 0.8
"""A spoiled gradient echo whose flip angle is below this share of the Ernst angle is weighted by proton density."""

_T1_NAME = re.compile(
    r"(?<![a-z0-9])(?:wip|[23]d|[bdesmuw]|ax|tra|sag|cor|cer|iso|pre|post|ir|se|gre|hr|fs){0,3}t1(?!\d|rho)|"
    r"(?<![a-z])(?:me)?m?p[ -]?rage|mp2rage|(?<![a-z])(?:me)?mpr(?![a-z])|bravo|spgr|(?<![a-z])(?:tfl|fl3d)|"
    r"(?<![a-z])(?:flash|vibe|lava|e?-?thrive|mdeft|quick ?3d|fsp3d|gre fsp|(?:3d)?tfe)(?![a-z])"
)
_OTHER_WORDS = {
    *("t2", "t2w", "flair", "swi", "swan", "pd", "pdw", "bold", "fmri", "rest", "epi"),
    *("stir", "dir", "ciss", "fiesta", "hydrops", "mt", "qsm", "tirm", "t2star", "dwi", "dti", "adc", "asl", "pcasl"),
    *("trufi", "truefisp", "bffe", "btfe", "ssfp", "dess", "psif", "space", "cube", "vista", "mtc", "mtsat"),
}
_NEVER_T1 = re.compile(
    r"b[01][ -]?maps?|field[ -]?map|(?<![a-z])f ?map|b[01][ -]?field|shim|(?<![a-z])sense ?ref|ref ?(?:head|sense)|"
    r"(?:coil|asset|sens\w*) ?cal|calibration|t1 ?rho|t1 ?map|molli|mp2rage.* t1 images|t[12] ?star|"
    r"spectro|(?<![a-z])mrs(?![a-z])"
)
_LOCALISER_WORDS = {"localizer", "localiser", "loc", "scout", "survey", "aahead", "aascout", "3plane", "planloc"}
_ANGIOGRAPHY = re.compile(
    r"(?<![a-z])(?:tof|mra|mrv|mip|venc|pca|inhance|inflow|willis|venogra|trance|qflow|[bs]?[23]di)(?![a-z])|angio|(?<![a-z])tof"
)
_NOT_MAGNITUDE = re.compile(r"(?:P|R|I|PHASE|REAL|IMAGINARY)(?:_.*)?|PHASE MAP|VELOCITY.*|B[01](?:[ _]?MAP)?")
_QUANTITATIVE = re.compile(r"(?:T1|T2|T2STAR|R1|R2|R2STAR|PD)[ _]?MAP|QMAP|QUANT.*|FIELD[ _]?MAP")
_FAT = {"F", "FAT", "FF", "FAT_FRACTION", "OP", "OPP_PHASE", "OUT_PHASE"}
"""Images of a Dixon acquisition that show the brain dark or with other edges; those of water and in phase serve."""
_REFORMATTED = {"MPR", "REFORMATTED"}
_MADE_OTHERWISE = {"PROJECTION IMAGE", "MIP", "MINIP", "MNIP", "SUB", "SUBTRACTION", "CSA MIP", "VRT", "SSD"}
CONTRASTS = {"T1", "T2", "T2_STAR", "PROTON_DENSITY", "FLUID_ATTENUATED", "STIR", "TOF"}
"""Values of Acquisition Contrast that decide (PS3.3 C.8.13.3.1)."""


def is_uniform(a: SeriesAttributes) -> bool:
    """Whether it is the uniform image (UNI) of an MP2RAGE, the ratio of its two inversion images."""
    return "UNI" in a.image_type or ("mp2rage" in a.text and any(w.startswith("uni") for w in a.words))


def is_denoised(a: SeriesAttributes) -> bool:
    """Whether it is a uniform image without the noise that the ratio has outside the head."""
    return is_uniform(a) and any(
        "den" in w and not w.startswith("dent") for w in (*a.words, *map(str.lower, a.image_type))
    )


def is_inversion_image(a: SeriesAttributes, uniform: SeriesAttributes) -> bool:
    """Whether it is an inversion image of the MP2RAGE that a uniform image comes from: named so, or with its TR."""
    if is_uniform(a):
        return False
    named = bool(re.search(r"(?<![a-z])inv ?-?[12](?!\d)", a.text)) or "mp2rage" in a.text
    same_tr = a.tr_ms is not None and a.tr_ms == uniform.tr_ms and a.tr_ms > 3500  # noqa: PLR2004 - no MPRAGE waits so long
    return named or (same_tr and bool(a.ti_ms))


def is_prepared(a: SeriesAttributes) -> bool:
    """Whether an inversion prepares a gradient echo: MPRAGE and its kind."""
    if a.gradient_echo is False:
        return False
    return is_uniform(a) or _is_inverted(a) or ("MP" in a.variants and not a.ti_ms)


def _is_inverted(a: SeriesAttributes) -> bool:
    longest = MAX_GRADIENT_INVERSION_MS if a.gradient_echo else INVERSION_MS[1]
    return a.ti_ms is not None and INVERSION_MS[0] <= a.ti_ms <= longest


def is_named_t1(a: SeriesAttributes) -> bool:
    """Whether a name or the contrast that the scanner names says T1."""
    return a.contrast == "T1" or bool(_T1_NAME.search(a.text))


def is_derived(a: SeriesAttributes) -> bool:
    """Whether the pixels were computed from others; such a series is the last resort."""
    return bool({"DERIVED", "SECONDARY", *_REFORMATTED} & set(a.image_type))


def is_t1_weighted(a: SeriesAttributes) -> bool:
    """Decide by the contrast that the scanner names, then by timing, then by names."""
    if is_uniform(a) or _NEVER_T1.search(a.text):
        return is_uniform(a)
    named = bool(_T1_NAME.search(a.text))
    if a.contrast in CONTRASTS:
        return a.contrast == "T1" or (named and is_prepared(a))
    if not named and (a.words & _OTHER_WORDS or "EP" in a.scanning):
        return False
    return not (a.te_ms is not None and a.te_ms > MAX_T1_TE_MS) and _is_timed_t1(a, named=named)


def _is_timed_t1(a: SeriesAttributes, *, named: bool) -> bool:
    """Whether the times and the flip angle give T1 weighting; a name decides where they are absent."""
    if a.ti_ms is not None and a.ti_ms > 0:
        return _is_inverted(a)
    if a.gradient_echo is None or a.tr_ms is None:
        return named
    if a.gradient_echo:
        return _is_t1_gradient_echo(a, named=named)
    return SPIN_ECHO_TR_MS[0] <= a.tr_ms <= SPIN_ECHO_TR_MS[1]


def _is_t1_gradient_echo(a: SeriesAttributes, *, named: bool) -> bool:
    """Spoiled gradient echo: a preparation, a flip angle large for its TR, or a name that says so."""
    if a.te_ms is not None and a.te_ms > MAX_T1_TE_MS / 3 and not named:
        return False  # T2*
    if named or "MP" in a.variants:
        return True
    tr_ms, flip_deg = a.tr_ms or 0.0, a.flip_deg or 0.0
    if not 0 < tr_ms < 1000:  # noqa: PLR2004
        return False
    ernst_deg = math.degrees(math.acos(math.exp(-tr_ms / 1000.0)))  # for T1 = 1 s, grey against white matter
    return flip_deg >= MIN_ERNST_SHARE * ernst_deg


def _is_localiser(a: SeriesAttributes) -> bool:
    return "LOCALIZER" in a.image_type or (bool(a.words & _LOCALISER_WORDS) and not is_prepared(a))


def _is_diffusion(a: SeriesAttributes) -> bool:
    kinds = {"DIFFUSION", "ADC", "FA", "TRACEW", "TENSOR", "TRACE"}
    return a.diffusion or a.contrast == "DIFFUSION" or bool(kinds & set(a.image_type))


def _is_perfusion(a: SeriesAttributes) -> bool:
    kinds = {"PERFUSION", "ASL", "PERFUSION_FFE", "RCBF", "CBF", "MTT", "TTP", "CBV"}
    return a.contrast == "PERFUSION" or bool(kinds & set(a.image_type))


def _is_angiography(a: SeriesAttributes) -> bool:
    if a.angiography or a.contrast in {"TOF", "FLOW_ENCODED"} or "TOF" in a.variants:
        return True
    return bool(_ANGIOGRAPHY.search(a.text)) and not (is_prepared(a) and is_named_t1(a))


def _is_secondary(a: SeriesAttributes) -> bool:
    """Whether it was made of other images in a way that no head survives: reformatted, projected, subtracted."""
    return "SECONDARY" in a.image_type or bool(_MADE_OTHERWISE & set(a.image_type))


def _is_not_magnitude(a: SeriesAttributes) -> bool:
    kinds = a.image_type[2:]  # the first two say whether pixels are original and where they come from
    if a.complex_component in {"PHASE", "REAL", "IMAGINARY"}:
        return True
    return any(_NOT_MAGNITUDE.fullmatch(kind) or _QUANTITATIVE.fullmatch(kind) for kind in kinds)


def _is_of_mixed_planes(a: SeriesAttributes) -> bool:
    """Whether planes differ in orientation or size, as those of a localiser. Gaps and duplicates are found on load."""
    axes = np.array([p.orientation for p in a.planes])
    return len({p.shape for p in a.planes}) > 1 or bool(np.ptp(axes, axis=0).max() > 0.5)  # noqa: PLR2004


RULES: tuple[tuple[Reason, Callable[[SeriesAttributes], bool]], ...] = (
    (Reason.NOT_MR, lambda a: not a.is_mr),
    (Reason.LOCALISER, _is_localiser),
    (Reason.DIFFUSION, _is_diffusion),
    (Reason.PERFUSION, _is_perfusion),
    (Reason.ANGIOGRAPHY, _is_angiography),
    (Reason.DERIVED, _is_secondary),
    (Reason.NOT_MAGNITUDE, _is_not_magnitude),
    (Reason.OTHER_BODY_PART, lambda a: a.region is Region.ELSEWHERE),
    (Reason.NOT_T1, lambda a: bool(_FAT & set(a.image_type[2:])) or not is_t1_weighted(a)),
    (Reason.NO_POSITION, lambda a: a.missing_geometry == "ImagePositionPatient"),
    (Reason.NO_ORIENTATION, lambda a: a.missing_geometry == "ImageOrientationPatient"),
    (Reason.NO_SPACING, lambda a: a.missing_geometry == "PixelSpacing"),
    (Reason.TOO_FEW_SLICES, lambda a: len(a.planes) < MIN_SLICES),
    (Reason.OTHER_PLANE_SET, _is_of_mixed_planes),
)
"""A series is not used for the first reason that holds."""
