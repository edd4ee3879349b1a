"""Study → the series from which FA and CBF come, by their role.

Image type and the coded quantity of the real-world values decide first; names only where the header says nothing else.
A map that the scanner made is preferred to computing one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pydicom
from pydicom import Dataset

from lnc_dicom.study.asl_series import is_asl, is_labelling, is_m0, joined, may_be_m0, same_grid, unsupported_kind
from lnc_dicom.study.attributes import SeriesAttributes, is_mosaic, real_world_mapping, voxel_mm
from lnc_dicom.study.candidate import Candidate
from lnc_dicom.study.select_diffusion import diffusion_series
from lnc_dicom.study.values import item, number
from lnc_dicom.types import Reason, Role, Series

_COLOUR = {"COLFA", "FA_COLOR", "COLOR", "RGB", "FACOLOR", "TENSOR", "TENSOR_COLOR"}
_COLOUR_WORDS = {"colfa", "cfa", "color", "colour", "colorfa", "colourfa", "rgb", "dec"}
_FA_CODES, _CBF_CODES = {"110808"}, {"126390", "113055"}
_RELATIVE_WORDS = {"rcbf", "relcbf", "relative"}
_RELATIVE_TYPES = {"RCBF", "RELCBF", "REL_CBF"}
MIN_PLANES = 4
"""A map with fewer slices cannot hold the deep grey matter."""


def map_series_of(found: Sequence[tuple[Series, SeriesAttributes]]) -> tuple[dict[Role, Series], dict[str, Reason]]:
    """Give the series by role and, by series UID, why others of the same kind are not used."""
    everything = [Candidate(s, t) for s, t in found if t.is_mr and t.planes]
    candidates = [c for c in everything if _may_hold_nuclei(c)]
    used: dict[Role, Series] = {}
    reasons: dict[str, Reason] = {}
    fa, weighted = _ranked(candidates, is_fa_map), diffusion_series(found)
    cbf, relative = _ranked(candidates, is_cbf_map), _ranked(candidates, is_relative_cbf_map)
    labelling, m0 = _perfusion(joined(everything))
    for role, group in ((Role.FA_MAP, fa), (Role.CBF_MAP, cbf), (Role.RELATIVE_CBF_MAP, relative)):
        _assign(used, reasons, role, [c.series for c in group], Reason.OTHER_MAP)
    others = Reason.MAP_MADE if fa else Reason.OTHER_DIFFUSION
    _assign(used, reasons, Role.FA_REGISTRATION if fa else Role.DIFFUSION, weighted, others)
    others = Reason.MAP_MADE if cbf else Reason.OTHER_PERFUSION
    _assign(used, reasons, Role.CBF_REGISTRATION if cbf else Role.LABELLING, [c.series for c in labelling], others)
    if labelling:
        _assign(used, reasons, Role.M0, [c.series for c in m0], Reason.OTHER_PERFUSION)
    elif not cbf:
        parts = [c.series for c in _ranked(everything, _is_part_of_labelling)]
        _assign(used, reasons, Role.LABELLING, parts, Reason.OTHER_PERFUSION)
    return used, reasons


def _may_hold_nuclei(c: Candidate) -> bool:
    """Whether there are slices enough; how many slices a mosaic has, its public attributes do not tell."""
    return len(c.attributes.planes) >= (1 if is_mosaic(c.series.header) else MIN_PLANES)


def _perfusion(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Give the series of labelling and those of its M0, best first; kinds from which no CBF is computed come last.

    Series of few slices are kept: that they do not cover the nuclei is said when the map is aligned.
    """
    labelling = sorted(_ranked(candidates, is_labelling), key=lambda c: bool(unsupported_kind(c.series)))
    if not labelling:
        return [], []
    first = labelling[0]
    named = [c for c in _ranked(candidates, is_m0) if c is not first]
    unnamed = [c for c in candidates if c is not first and c not in named and may_be_m0(c, first)]
    return [c for c in labelling if c not in unnamed], [*sorted(named, key=lambda c: not same_grid(c, first)), *unnamed]


def _is_part_of_labelling(c: Candidate) -> bool:
    """Whether it is one volume of labelling, as a perfusion-weighted image: no CBF, and a caveat that says why."""
    return is_asl(c) and not is_m0(c) and not _is_any_cbf(c) and c.volumes == 1


def _assign(
    used: dict[Role, Series], reasons: dict[str, Reason], role: Role, group: Sequence[Series], otherwise: Reason
) -> None:
    for i, series in enumerate(group):
        if i == 0:
            used[role] = series
        else:
            reasons.update({part.uid: otherwise for part in series.parts})


def _ranked(candidates: Sequence[Candidate], holds: Callable[[Candidate], bool]) -> list[Candidate]:
    """Give the candidates of one kind: most volumes (directions) first, then smallest voxels, then most slices."""
    return sorted((c for c in candidates if holds(c)), key=_rank)


def _rank(candidate: Candidate) -> tuple[int, float, int, str]:
    attributes = candidate.attributes
    return (-candidate.volumes, round(voxel_mm(attributes), 1), -len(attributes.planes), attributes.started)


def is_fa_map(c: Candidate) -> bool:
    """Whether it is a map of fractional anisotropy with one number per voxel."""
    kinds, words = set(c.attributes.image_type), c.attributes.words
    colour = (number(c.series.header, "SamplesPerPixel") or 1) > 1 or bool(kinds & _COLOUR or words & _COLOUR_WORDS)
    if colour or c.volumes != 1:
        return False
    named = "fa" in words or ("fractional" in words and any(w.startswith("aniso") for w in words))
    return "FA" in kinds or (c.derived and (named or quantity_code(c) in _FA_CODES))


def is_cbf_map(c: Candidate) -> bool:
    """Whether it is a map of CBF in absolute units: from arterial spin labelling, or with a unit of flow."""
    return _is_any_cbf(c) and not is_relative_cbf_map(c)


def is_relative_cbf_map(c: Candidate) -> bool:
    """Whether a CBF map is named relative or cannot be absolute, as one from the first pass of a contrast agent."""
    kinds, words = set(c.attributes.image_type), c.attributes.words
    if not _is_any_cbf(c):
        return False
    if kinds & _RELATIVE_TYPES or words & _RELATIVE_WORDS:
        return True
    return c.attributes.agent or not (is_asl(c) or "min" in unit_code(c).lower())


def _is_any_cbf(c: Candidate) -> bool:
    kinds, words = set(c.attributes.image_type), c.attributes.words
    flow = bool({"cbf", *_RELATIVE_WORDS - {"relative"}} & words) or {"blood", "flow"} <= words
    named = c.derived and flow
    return c.volumes == 1 and (bool({"CBF", *_RELATIVE_TYPES} & kinds) or named or quantity_code(c) in _CBF_CODES)


def quantity_code(c: Candidate) -> str:
    """Give the code of the quantity in the real-world value mapping (PS3.3 C.7.6.16.2.11); "" without one."""
    for part in _mapping(c).get("QuantityDefinitionSequence") or ():
        values = part.get("ConceptCodeSequence")
        if values:
            return str(values[0].get("CodeValue") or "")
    return ""


def unit_code(c: Candidate) -> str:
    """Give the UCUM code of the real-world values; "" without one."""
    return str(item(_mapping(c), "MeasurementUnitsCodeSequence").get("CodeValue") or "")


def _mapping(c: Candidate) -> Dataset:
    """Give the real-world value mapping of computed images; for single-frame images it is read from the file here."""
    if not c.derived:
        return Dataset()
    header = c.series.header
    if "NumberOfFrames" not in header:
        tags = ["RealWorldValueMappingSequence"]
        header = pydicom.dcmread(c.series.instances[0].path, stop_before_pixels=True, specific_tags=tags)
    return real_world_mapping(header)


def roles_by_uid(map_series: Mapping[Role, Series]) -> dict[str, Role]:
    """Give the role of every series that is used besides the T1."""
    return {part.uid: role for role, series in map_series.items() for part in series.parts}
