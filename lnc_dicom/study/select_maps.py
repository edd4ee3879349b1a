"""Study → the series from which FA and CBF come, by what they are used for.

Decided by image type and the coded quantity of the real-world values first, by names only where headers are silent.
What the scanner made is preferred to computing it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pydicom
from pydicom import Dataset

from lnc_dicom.study.attributes import Traits, item, slice_distance_mm
from lnc_dicom.types import Reason, Role, Series

_COLOUR = {"COLFA", "FA_COLOR", "COLOR", "RGB", "FACOLOR", "TENSOR", "TENSOR_COLOR"}
_COLOUR_WORDS = {"colfa", "cfa", "color", "colour", "colorfa", "colourfa", "rgb", "dec"}
_FA_CODES, _CBF_CODES = {"110808"}, {"126390", "113055"}
_RELATIVE_WORDS = {"rcbf", "relcbf", "relative"}
_RELATIVE_TYPES = {"RCBF", "RELCBF", "REL_CBF"}
_NOT_WEIGHTED = {"ADC", "FA", "TRACEW", "TRACE", "TENSOR", "EADC", "COLFA", "EXP"}
_M0_WORDS = {"m0", "m0scan", "mzero", "mzeroscan", "m0map"}
MIN_PLANES = 4
"""A map with fewer slices cannot hold the deep grey matter."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A series with what its headers tell."""

    series: Series
    traits: Traits

    @property
    def derived(self) -> bool:
        """Whether the scanner computed the images."""
        return bool({"DERIVED", "SECONDARY"} & set(self.traits.image_type))

    @property
    def volumes(self) -> int:
        """Images at one place."""
        places = {round(p.along_mm, 1) for p in self.traits.planes}
        return len(self.traits.planes) // max(1, len(places))


def map_series_of(found: Sequence[tuple[Series, Traits]]) -> tuple[dict[Role, Series], dict[str, Reason]]:
    """Give the series by role, and why others of the same kind are not used, by series UID."""
    candidates = [Candidate(s, t) for s, t in found if t.is_mr and len(t.planes) >= MIN_PLANES]
    used: dict[Role, Series] = {}
    reasons: dict[str, Reason] = {}
    fa, weighted = _best(candidates, is_fa_map), _best(candidates, is_weighted)
    cbf, relative = _best(candidates, is_cbf_map), _best(candidates, is_relative_cbf_map)
    labelling, m0 = _best(candidates, is_labelling), _best(candidates, is_m0)
    for role, group in ((Role.FA_MAP, fa), (Role.CBF_MAP, cbf), (Role.RELATIVE_CBF_MAP, relative)):
        _take(used, reasons, role, group, Reason.OTHER_MAP)
    others = Reason.MAP_MADE if fa else Reason.OTHER_DIFFUSION
    _take(used, reasons, Role.FA_REGISTRATION if fa else Role.DIFFUSION, weighted, others)
    others = Reason.MAP_MADE if cbf else Reason.OTHER_PERFUSION
    _take(used, reasons, Role.CBF_REGISTRATION if cbf else Role.LABELLING, labelling, others)
    if labelling:
        _take(used, reasons, Role.M0, m0, Reason.OTHER_PERFUSION)
    return used, reasons


def _take(
    used: dict[Role, Series], reasons: dict[str, Reason], role: Role, group: Sequence[Candidate], otherwise: Reason
) -> None:
    for i, candidate in enumerate(group):
        if i == 0:
            used[role] = candidate.series
        else:
            reasons[candidate.series.uid] = otherwise


def _best(candidates: Sequence[Candidate], holds: Callable[[Candidate], bool]) -> list[Candidate]:
    """Those of one kind: most volumes (directions), then most slices in the finest voxels, first."""
    return sorted((c for c in candidates if holds(c)), key=_rank)


def _rank(candidate: Candidate) -> tuple[int, float, int, str]:
    traits = candidate.traits
    voxel_mm = float((max(traits.planes[0].pixel_mm) ** 2 * slice_distance_mm(traits)) ** (1 / 3))
    return (-candidate.volumes, round(voxel_mm, 1), -len(traits.planes), traits.started)


def is_fa_map(c: Candidate) -> bool:
    """Fractional anisotropy, one number per voxel."""
    kinds, words = set(c.traits.image_type), c.traits.words
    colour = int(c.series.header.get("SamplesPerPixel", 1) or 1) > 1 or bool(kinds & _COLOUR or words & _COLOUR_WORDS)
    if colour or c.volumes != 1:
        return False
    named = "fa" in words or ("fractional" in words and any(w.startswith("aniso") for w in words))
    return "FA" in kinds or (c.derived and (named or quantity_code(c) in _FA_CODES))


def is_weighted(c: Candidate) -> bool:
    """Diffusion-weighted images as acquired, several volumes."""
    traits = c.traits
    kinds = set(traits.image_type)
    if c.derived or kinds & _NOT_WEIGHTED or c.volumes < 2:  # noqa: PLR2004
        return False
    return traits.diffusion or traits.contrast == "DIFFUSION" or "DIFFUSION" in kinds


def is_cbf_map(c: Candidate) -> bool:
    """Cerebral blood flow in absolute units: of arterial spin labelling, or with a unit of flow."""
    return _is_any_cbf(c) and not is_relative_cbf_map(c)


def is_relative_cbf_map(c: Candidate) -> bool:
    """Named relative, or without anything that could make it absolute, as a map of a contrast agent's passage."""
    kinds, words = set(c.traits.image_type), c.traits.words
    if not _is_any_cbf(c):
        return False
    if kinds & _RELATIVE_TYPES or words & _RELATIVE_WORDS:
        return True
    return c.traits.agent or not (_is_asl(c) or "min" in unit_code(c).lower())


def _is_any_cbf(c: Candidate) -> bool:
    kinds, words = set(c.traits.image_type), c.traits.words
    named = c.derived and bool({"cbf", *_RELATIVE_WORDS - {"relative"}} & words)
    return c.volumes == 1 and (bool({"CBF", *_RELATIVE_TYPES} & kinds) or named or quantity_code(c) in _CBF_CODES)


def _is_asl(c: Candidate) -> bool:
    header = c.series.header
    frames = header.get("PerFrameFunctionalGroupsSequence") or [Dataset()]
    groups = (item(header, "SharedFunctionalGroupsSequence"), frames[0])
    coded = any("MRArterialSpinLabelingSequence" in group for group in groups)
    return coded or "ASL" in c.traits.image_type or any(word.endswith("asl") for word in c.traits.words)


def is_labelling(c: Candidate) -> bool:
    """Control and label images as acquired: at least a pair of volumes."""
    return not c.derived and c.volumes >= 2 and _is_asl(c) and not is_m0(c)  # noqa: PLR2004


def is_m0(c: Candidate) -> bool:
    """M0 in a series of its own."""
    return not c.derived and bool(c.traits.words & _M0_WORDS)


def quantity_code(c: Candidate) -> str:
    """Code of the quantity in the real-world value mapping (PS3.3 C.7.6.16.2.11), "" where there is none."""
    for part in _mapping(c).get("QuantityDefinitionSequence") or ():
        values = part.get("ConceptCodeSequence")
        if values:
            return str(values[0].get("CodeValue") or "")
    return ""


def unit_code(c: Candidate) -> str:
    """UCUM code of the real-world values, "" where there is none."""
    return str(item(_mapping(c), "MeasurementUnitsCodeSequence").get("CodeValue") or "")


def _mapping(c: Candidate) -> Dataset:
    """Real-world value mapping of what the scanner computed; of a single-frame image it has not been read yet."""
    if not c.derived:
        return Dataset()
    header = c.series.header
    if "NumberOfFrames" not in header:
        tags = ["RealWorldValueMappingSequence"]
        header = pydicom.dcmread(c.series.instances[0].path, stop_before_pixels=True, specific_tags=tags)
    frames = header.get("PerFrameFunctionalGroupsSequence") or [Dataset()]
    places = (header, item(header, "SharedFunctionalGroupsSequence"), frames[0])
    found = (item(place, "RealWorldValueMappingSequence") for place in places)
    return next((mapping for mapping in found if mapping), Dataset())


def roles_by_uid(map_series: Mapping[Role, Series]) -> dict[str, Role]:
    """Give the role of every series that is used beside the T1."""
    return {series.uid: role for role, series in map_series.items()}
