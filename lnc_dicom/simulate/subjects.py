"""Seed → simulated people: all their properties, before any image is made.

A latent integrity of the LSA per hemisphere determines the number of stems and a part of volumes, FA, CBF and T1
intensity; age, sex, head size and iron determine the rest. `docs/explanation/virtual-cohort.md` shows the graph.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lnc_dicom.simulate.parameters import (
    AGE_MEAN,
    AGE_RANGE,
    AGE_SD,
    CONFOUNDED_AGE_MEAN,
    FA_SESSION_CV,
    FA_SIDES,
    FLOW,
    GROUPS,
    HEAD_SEX_SD,
    IRON_AGE,
    LESIONS,
    REGION,
    REGIONS,
    SITES,
    STEMS,
    VENTRICLE_DECADE,
    VENTRICLE_SD,
)

Array = npt.NDArray[np.float64]

ISCHAEMIA = 2
"""Index of the group with an affected side."""


@dataclass(frozen=True, slots=True)
class CohortDesign:
    """Design of a cohort.

    effect
        Effect size of the disease: 1 as in `parameters`; with 0 the T1 is independent of group and stems.
    confound
        "age": age differs between the groups.
    """

    effect: float = 1.0
    confound: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """n people; arrays of shape (n,) or, per hemisphere, (n, 2) with left first; per region (n, 5, 2).

    group
        Index into `GROUPS`. site: index into `SITES`.
    age, male, head
        Age in years; 1 for men; head size in SD.
    affected
        Hemisphere of the ischaemia (0 left, 1 right); -1 where there is none.
    stems, stems_read
        True number of LSA stems, and the number that a reader counts.
    volume
        Volume of each region relative to its mean. ventricle: the same for the lateral ventricles, per hemisphere.
    t1
        Intensity of each region relative to white matter on a neutral scanner.
    spaces, lacunes, scar_mm, caps_mm
        Numbers of perivascular spaces and lacunes, radius of a chronic infarct, thickness of periventricular caps.
    fa, cbf
        Region means as the maps show them, including the effects of session and scanner.
    """

    group: npt.NDArray[np.int64]
    site: npt.NDArray[np.int64]
    age: Array
    male: Array
    head: Array
    affected: npt.NDArray[np.int64]
    stems: npt.NDArray[np.int64]
    stems_read: npt.NDArray[np.int64]
    volume: Array = field(repr=False)
    ventricle: Array = field(repr=False)
    t1: Array = field(repr=False)
    spaces: npt.NDArray[np.int64] = field(repr=False)
    lacunes: npt.NDArray[np.int64] = field(repr=False)
    scar_mm: Array = field(repr=False)
    caps_mm: Array = field(repr=False)
    fa: Array = field(repr=False)
    cbf: Array = field(repr=False)

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.group)

    def t1_properties(self) -> Array:
        """Return all properties that are drawn into the T1, of both hemispheres, (n, properties).

        Volumes, intensities, lesions and head size; not age, arteries, FA or CBF.
        """
        n = len(self)
        counts = np.concatenate([np.sqrt(self.spaces), np.sqrt(self.lacunes), self.scar_mm, self.caps_mm], axis=1)
        logs = np.concatenate([np.log(self.volume).reshape(n, -1), np.log(self.ventricle)], axis=1)
        return np.concatenate([logs, self.t1.reshape(n, -1), counts, self.head[:, None]], axis=1)


def draw_people(count: int, design: CohortDesign, seed: int) -> People:
    """Rng people with balanced groups. The same seed gives the same people."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(count) % len(GROUPS))
    site = rng.integers(len(SITES), size=count)
    mean_age = np.array(CONFOUNDED_AGE_MEAN)[group] if design.confound == "age" else np.full(count, AGE_MEAN)
    age = _truncated(rng, mean_age, AGE_SD, AGE_RANGE)
    male = rng.integers(2, size=count).astype(float)
    head = rng.normal(size=count) + HEAD_SEX_SD * (male - 0.5)
    affected = np.where(group == ISCHAEMIA, rng.integers(2, size=count), -1)
    decades = (age - AGE_MEAN) / 10
    diseased = design.effect * (group > 0).astype(float)
    on_side = np.asarray(design.effect * (affected[:, None] == np.arange(2)), np.float64)
    link = min(design.effect, 1.0)
    integrity = _integrity(rng, decades, link)
    iron = IRON_AGE * decades * 10 / AGE_SD + np.sqrt(1 - IRON_AGE**2) * rng.normal(size=count)
    shown = integrity if link == 1 else link * integrity + np.sqrt(1 - link**2) * _integrity(rng, decades, 1.0)
    person = _Person(decades, male, head, diseased, on_side, integrity, shown, iron)
    stems, read = _stems(rng, group, design.effect, person)
    volume, ventricle, t1 = _volumes(rng, person), _ventricles(rng, person), _intensities(rng, person)
    lesions = _lesions(rng, person, group, design.effect)
    fa, cbf = _anisotropy(rng, person, site), _flow(rng, person, site)
    return People(group, site, age, male, head, affected, stems, read, volume, ventricle, t1, *lesions, fa, cbf)


@dataclass(frozen=True, slots=True)
class _Person:
    """Latent properties: decades from 57, sex, head size, disease, iron (n,); affected side, integrity (n, 2).

    arteries is the integrity that determines the stems, integrity the one that determines everything else; they are
    identical with the full effect of disease and independent without effect.
    """

    decades: Array
    male: Array
    head: Array
    diseased: Array
    on_side: Array
    arteries: Array
    integrity: Array
    iron: Array

    def per_region(self, name: str) -> Array:
        """Stack one parameter of every region, (5, 1)."""
        return np.array([[getattr(REGION[r], name)] for r in REGIONS])


def _truncated(rng: np.random.Generator, mean: Array, sd: float, limits: tuple[float, float]) -> Array:
    """Rng from a truncated normal distribution by rejection."""
    value = rng.normal(mean, sd)
    while (bad := (value < limits[0]) | (value > limits[1])).any():
        value[bad] = rng.normal(mean[bad], sd)
    return np.asarray(value)


def _paired(rng: np.random.Generator, shape: tuple[int, ...], sides: float | Array) -> Array:
    """Rng standard normal numbers (*shape, 2); `sides` is the correlation between the two sides."""
    both, own = rng.normal(size=(*shape, 1)), rng.normal(size=(*shape, 2))
    return np.asarray(np.sqrt(sides) * both + np.sqrt(1 - np.asarray(sides)) * own)


def _integrity(rng: np.random.Generator, decades: Array, link: float) -> Array:
    """Rng the latent integrity of the LSA (n, 2), about standard normal; it falls with age in proportion to `link`."""
    age = STEMS.age * link
    rest = np.sqrt(1 - age**2) * _paired(rng, decades.shape, STEMS.sides)
    return np.asarray(age * (decades * 10 / AGE_SD)[:, None] + rest)


def _stems(
    rng: np.random.Generator, group: npt.NDArray[np.int64], effect: float, p: _Person
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rng the true and the counted stems, (n, 2) each."""
    mean, sd = np.array(STEMS.mean), np.array(STEMS.sd)
    mean, sd = mean[0] + effect * (mean - mean[0]), sd[0] + min(effect, 1.0) * (sd - sd[0])
    wanted = mean[group][:, None] + sd[group][:, None] * p.arteries - STEMS.affected_side * p.on_side
    wanted += STEMS.affected_side * p.on_side[:, ::-1]  # the group's mean stays
    stems = np.clip(np.rint(wanted), STEMS.least, STEMS.most)
    read = np.clip(np.rint(stems + rng.normal(0, STEMS.reader_sd, stems.shape)), STEMS.least, STEMS.most)
    return stems.astype(np.int64), read.astype(np.int64)


def _volumes(rng: np.random.Generator, p: _Person) -> Array:
    """Rng volumes relative to their means, (n, 5, 2)."""
    n = len(p.decades)
    loading = p.per_region("volume_integrity")
    shared = p.per_region("volume_person")
    sides = p.per_region("volume_sides")
    rest = 1 - loading**2 - shared**2 - p.per_region("volume_head") ** 2
    z = loading * p.integrity[:, None, :] + shared * rng.normal(size=(n, 1, 1))
    z = z + p.per_region("volume_head") * p.head[:, None, None]
    z = z + np.sqrt(np.clip(rest, 0, 1)) * _paired(rng, (n, len(REGIONS)), sides[:, :1])
    z = z + p.per_region("volume_disease") * p.diseased[:, None, None]
    slope = p.per_region("volume_decade") * p.decades[:, None, None]
    return np.asarray(np.exp(p.per_region("volume_sd") * z + slope))


def _ventricles(rng: np.random.Generator, p: _Person) -> Array:
    """Rng the volumes of the lateral ventricles relative to their mean, (n, 2)."""
    size = _paired(rng, p.decades.shape, 0.9)
    return np.asarray(np.exp(VENTRICLE_SD * size + (VENTRICLE_DECADE * p.decades + 0.15 * p.diseased)[:, None]))


def _intensities(rng: np.random.Generator, p: _Person) -> Array:
    """Rng intensities relative to white matter on a neutral scanner, (n, 5, 2)."""
    z = _paired(rng, (len(p.decades), len(REGIONS)), 0.8)
    value = p.per_region("t1") + p.per_region("t1_iron") * p.iron[:, None, None]
    return np.asarray(value + p.per_region("t1_integrity") * p.integrity[:, None, :] + p.per_region("t1_sd") * z)


def _lesions(
    rng: np.random.Generator, p: _Person, group: npt.NDArray[np.int64], effect: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Array, Array]:
    """Rng numbers and sizes of the lesions, per hemisphere."""

    def by_group(values: tuple[float, ...]) -> Array:
        base = np.array(values)
        return np.asarray((base[0] + effect * (base - base[0]))[group][:, None])

    tilt = LESIONS.spaces_age * p.decades[:, None] + LESIONS.spaces_integrity * p.integrity
    spaces = rng.poisson(by_group(LESIONS.spaces) * np.exp(tilt))
    lacunes = rng.poisson(np.broadcast_to(by_group(LESIONS.lacunes), spaces.shape))
    scarred = (p.on_side > 0) & (rng.random(spaces.shape) < LESIONS.scar_chance * p.on_side)
    scar = np.where(scarred, rng.uniform(*LESIONS.scar_mm, spaces.shape), 0.0)
    caps = by_group(LESIONS.caps_mm) + LESIONS.caps_age * p.decades[:, None] + 0.4 * rng.normal(size=(len(group), 1))
    sizes = np.clip(np.broadcast_to(caps, spaces.shape), 0, 6).copy()
    return spaces.astype(np.int64), lacunes.astype(np.int64), np.asarray(scar), sizes


def _anisotropy(rng: np.random.Generator, p: _Person, site: npt.NDArray[np.int64]) -> Array:
    """Rng FA as the map shows it, (n, 5, 2)."""
    n = len(p.decades)
    age, iron, integrity = (p.per_region(f"fa_{k}") for k in ("age", "iron", "integrity"))
    rest = np.sqrt(np.clip(1 - age**2 - iron**2 - integrity**2, 0.05, 1))
    z = age * (p.decades * 10 / AGE_SD)[:, None, None] + iron * p.iron[:, None, None]
    z = z + integrity * p.integrity[:, None, :] + rest * _paired(rng, (n, len(REGIONS)), FA_SIDES)
    z = z + p.per_region("fa_disease") * p.diseased[:, None, None]
    factor = np.array([s.fa for s in SITES])[site][:, None, None]
    session = 1 + FA_SESSION_CV * rng.normal(size=(n, len(REGIONS), 2))
    return np.asarray(np.clip((p.per_region("fa") + p.per_region("fa_sd") * z) * session * factor, 0.02, 0.95))


def _flow(rng: np.random.Generator, p: _Person, site: npt.NDArray[np.int64]) -> Array:
    """Rng CBF as the map shows it, in mL/100 g/min, (n, 5, 2)."""
    n = len(p.decades)
    loading = p.per_region("cbf_integrity")
    whole = FLOW.decade * p.decades + FLOW.woman * (0.5 - p.male)
    rest = np.sqrt(1 - loading**2) * (np.sqrt(0.8) * rng.normal(size=(n, 1, 1)) + np.sqrt(0.2) * _paired(
        rng, (n, len(REGIONS)), FLOW.sides))  # fmt: skip
    z = whole[:, None, None] + loading * p.integrity[:, None, :] + rest
    disease = 1 + p.per_region("cbf_disease") * p.diseased[:, None, None]
    territory = p.per_region("cbf_disease") < 0
    disease = disease * (1 + FLOW.affected_side * p.on_side[:, None, :] * territory)
    factor = np.array([s.cbf for s in SITES])[site][:, None, None]
    session = np.exp(FLOW.session_cv * rng.normal(size=(n, 1, 1)))
    return np.asarray(FLOW.cortex * p.per_region("cbf") * np.exp(FLOW.cv * z) * disease * session * factor)
