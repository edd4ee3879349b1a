"""Seed → simulated people: everything about them that is drawn, before any image is made.

A latent integrity of the LSA per hemisphere carries the number of stems, a little of the volumes, of FA, of CBF and of
what T1 shows; age, sex, head size and iron carry the rest. `docs/explanation/virtual-cohort.md` draws it.
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
"""Index of the group that has an affected side."""


@dataclass(frozen=True, slots=True)
class Study:
    """What kind of cohort.

    effect
        How strong disease is: 1 as in `parameters`; 0 none, and then the T1 tells nothing of group or stems.
    confound
        "age": the groups differ in age.
    """

    effect: float = 1.0
    confound: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """n people; arrays of shape (n,) or, per hemisphere, (n, 2) with left first; per region (n, 5, 2).

    group
        Index into `GROUPS`. site: index into `SITES`.
    age, man, head
        Years; 1 for men; head size in SD.
    affected
        Hemisphere of the ischaemia (0 left, 1 right); -1 where there is none.
    stems, stems_read
        Stems of the LSA as they are, and as a reader counts them.
    volume
        Volume of each region over its mean. ventricle: the same for the lateral ventricles, per hemisphere.
    t1
        Intensity of each region over white matter on a neutral scanner.
    spaces, lacunes, scar_mm, caps_mm
        Perivascular spaces and lacunes (counts), radius of a scar, thickness of dark caps, per hemisphere.
    fa, cbf
        Region means as the maps show them, with the session's and the scanner's share.
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
        """How many there are."""
        return len(self.group)

    def visible(self) -> Array:
        """Give what a perfect reader of the T1 could see, (n, traits), both hemispheres.

        Volumes, intensities over white matter, lesions, head size; never age, arteries, FA or CBF themselves.
        """
        n = len(self)
        counts = np.concatenate([np.sqrt(self.spaces), np.sqrt(self.lacunes), self.scar_mm, self.caps_mm], axis=1)
        logs = np.concatenate([np.log(self.volume).reshape(n, -1), np.log(self.ventricle)], axis=1)
        return np.concatenate([logs, self.t1.reshape(n, -1), counts, self.head[:, None]], axis=1)


def draw_people(count: int, study: Study, seed: int) -> People:
    """Draw people with balanced groups. The same seed gives the same people."""
    chance = np.random.default_rng(seed)
    group = chance.permutation(np.arange(count) % len(GROUPS))
    site = chance.integers(len(SITES), size=count)
    mean_age = np.array(CONFOUNDED_AGE_MEAN)[group] if study.confound == "age" else np.full(count, AGE_MEAN)
    age = _truncated(chance, mean_age, AGE_SD, AGE_RANGE)
    man = chance.integers(2, size=count).astype(float)
    head = chance.normal(size=count) + HEAD_SEX_SD * (man - 0.5)
    affected = np.where(group == ISCHAEMIA, chance.integers(2, size=count), -1)
    decades = (age - AGE_MEAN) / 10
    hurt = study.effect * (group > 0).astype(float)
    on_side = np.asarray(study.effect * (affected[:, None] == np.arange(2)), np.float64)
    link = min(study.effect, 1.0)
    integrity = _integrity(chance, decades, link)
    iron = IRON_AGE * decades * 10 / AGE_SD + np.sqrt(1 - IRON_AGE**2) * chance.normal(size=count)
    shown = integrity if link == 1 else link * integrity + np.sqrt(1 - link**2) * _integrity(chance, decades, 1.0)
    person = _Person(decades, man, head, hurt, on_side, integrity, shown, iron)
    stems, read = _stems(chance, group, study.effect, person)
    volume, ventricle, t1 = _volumes(chance, person), _ventricles(chance, person), _intensities(chance, person)
    lesions = _lesions(chance, person, group, study.effect)
    fa, cbf = _anisotropy(chance, person, site), _flow(chance, person, site)
    return People(group, site, age, man, head, affected, stems, read, volume, ventricle, t1, *lesions, fa, cbf)


@dataclass(frozen=True, slots=True)
class _Person:
    """What the parts below share: decades from 57, sex, head, disease, iron (n,); side affected, integrity (n, 2).

    arteries is the integrity that the stems follow; integrity the one that everything else shows: the same, but
    unrelated where there is no effect.
    """

    decades: Array
    male: Array
    head: Array
    hurt: Array
    on_side: Array
    arteries: Array
    integrity: Array
    iron: Array

    def per_region(self, name: str) -> Array:
        """Stack one parameter of every region, (5, 1)."""
        return np.array([[getattr(REGION[r], name)] for r in REGIONS])


def _truncated(chance: np.random.Generator, mean: Array, sd: float, limits: tuple[float, float]) -> Array:
    """Draw normal numbers, again where they fall outside."""
    value = chance.normal(mean, sd)
    while (bad := (value < limits[0]) | (value > limits[1])).any():
        value[bad] = chance.normal(mean[bad], sd)
    return np.asarray(value)


def _paired(chance: np.random.Generator, shape: tuple[int, ...], sides: float | Array) -> Array:
    """Draw standard normal numbers (*shape, 2) with a correlation between the two sides."""
    both, own = chance.normal(size=(*shape, 1)), chance.normal(size=(*shape, 2))
    return np.asarray(np.sqrt(sides) * both + np.sqrt(1 - np.asarray(sides)) * own)


def _integrity(chance: np.random.Generator, decades: Array, link: float) -> Array:
    """Latent integrity of the LSA (n, 2), about standard normal; lower with age, if there is an effect at all."""
    age = STEMS.age * link
    rest = np.sqrt(1 - age**2) * _paired(chance, decades.shape, STEMS.sides)
    return np.asarray(age * (decades * 10 / AGE_SD)[:, None] + rest)


def _stems(
    chance: np.random.Generator, group: npt.NDArray[np.int64], effect: float, p: _Person
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Stems as they are and as read, (n, 2)."""
    mean, sd = np.array(STEMS.mean), np.array(STEMS.sd)
    mean, sd = mean[0] + effect * (mean - mean[0]), sd[0] + min(effect, 1.0) * (sd - sd[0])
    wanted = mean[group][:, None] + sd[group][:, None] * p.arteries - STEMS.affected_side * p.on_side
    wanted += STEMS.affected_side * p.on_side[:, ::-1]  # the group's mean stays
    stems = np.clip(np.rint(wanted), STEMS.least, STEMS.most)
    read = np.clip(np.rint(stems + chance.normal(0, STEMS.reader_sd, stems.shape)), STEMS.least, STEMS.most)
    return stems.astype(np.int64), read.astype(np.int64)


def _volumes(chance: np.random.Generator, p: _Person) -> Array:
    """Volumes over their means, (n, 5, 2)."""
    n = len(p.decades)
    loading = p.per_region("volume_integrity")
    shared = p.per_region("volume_person")
    sides = p.per_region("volume_sides")
    rest = 1 - loading**2 - shared**2 - p.per_region("volume_head") ** 2
    z = loading * p.integrity[:, None, :] + shared * chance.normal(size=(n, 1, 1))
    z = z + p.per_region("volume_head") * p.head[:, None, None]
    z = z + np.sqrt(np.clip(rest, 0, 1)) * _paired(chance, (n, len(REGIONS)), sides[:, :1])
    z = z + p.per_region("volume_disease") * p.hurt[:, None, None]
    slope = p.per_region("volume_decade") * p.decades[:, None, None]
    return np.asarray(np.exp(p.per_region("volume_sd") * z + slope))


def _ventricles(chance: np.random.Generator, p: _Person) -> Array:
    """Lateral ventricles over their mean, (n, 2)."""
    size = _paired(chance, p.decades.shape, 0.9)
    return np.asarray(np.exp(VENTRICLE_SD * size + (VENTRICLE_DECADE * p.decades + 0.15 * p.hurt)[:, None]))


def _intensities(chance: np.random.Generator, p: _Person) -> Array:
    """Intensity over white matter on a neutral scanner, (n, 5, 2)."""
    z = _paired(chance, (len(p.decades), len(REGIONS)), 0.8)
    value = p.per_region("t1") + p.per_region("t1_iron") * p.iron[:, None, None]
    return np.asarray(value + p.per_region("t1_integrity") * p.integrity[:, None, :] + p.per_region("t1_sd") * z)


def _lesions(
    chance: np.random.Generator, p: _Person, group: npt.NDArray[np.int64], effect: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Array, Array]:
    """Count and size the traces of disease, per hemisphere."""

    def by_group(values: tuple[float, ...]) -> Array:
        base = np.array(values)
        return np.asarray((base[0] + effect * (base - base[0]))[group][:, None])

    tilt = LESIONS.spaces_age * p.decades[:, None] + LESIONS.spaces_integrity * p.integrity
    spaces = chance.poisson(by_group(LESIONS.spaces) * np.exp(tilt))
    lacunes = chance.poisson(np.broadcast_to(by_group(LESIONS.lacunes), spaces.shape))
    scarred = (p.on_side > 0) & (chance.random(spaces.shape) < LESIONS.scar_chance * p.on_side)
    scar = np.where(scarred, chance.uniform(*LESIONS.scar_mm, spaces.shape), 0.0)
    caps = by_group(LESIONS.caps_mm) + LESIONS.caps_age * p.decades[:, None] + 0.4 * chance.normal(size=(len(group), 1))
    sizes = np.clip(np.broadcast_to(caps, spaces.shape), 0, 6).copy()
    return spaces.astype(np.int64), lacunes.astype(np.int64), np.asarray(scar), sizes


def _anisotropy(chance: np.random.Generator, p: _Person, site: npt.NDArray[np.int64]) -> Array:
    """FA as the map shows it, (n, 5, 2)."""
    n = len(p.decades)
    age, iron, integrity = (p.per_region(f"fa_{k}") for k in ("age", "iron", "integrity"))
    rest = np.sqrt(np.clip(1 - age**2 - iron**2 - integrity**2, 0.05, 1))
    z = age * (p.decades * 10 / AGE_SD)[:, None, None] + iron * p.iron[:, None, None]
    z = z + integrity * p.integrity[:, None, :] + rest * _paired(chance, (n, len(REGIONS)), FA_SIDES)
    z = z + p.per_region("fa_disease") * p.hurt[:, None, None]
    factor = np.array([s.fa for s in SITES])[site][:, None, None]
    session = 1 + FA_SESSION_CV * chance.normal(size=(n, len(REGIONS), 2))
    return np.asarray(np.clip((p.per_region("fa") + p.per_region("fa_sd") * z) * session * factor, 0.02, 0.95))


def _flow(chance: np.random.Generator, p: _Person, site: npt.NDArray[np.int64]) -> Array:
    """CBF as the map shows it in mL/100 g/min, (n, 5, 2)."""
    n = len(p.decades)
    loading = p.per_region("cbf_integrity")
    whole = FLOW.decade * p.decades + FLOW.woman * (0.5 - p.male)
    rest = np.sqrt(1 - loading**2) * (np.sqrt(0.8) * chance.normal(size=(n, 1, 1)) + np.sqrt(0.2) * _paired(
        chance, (n, len(REGIONS)), FLOW.sides))  # fmt: skip
    z = whole[:, None, None] + loading * p.integrity[:, None, :] + rest
    disease = 1 + p.per_region("cbf_disease") * p.hurt[:, None, None]
    territory = p.per_region("cbf_disease") < 0
    disease = disease * (1 + FLOW.affected_side * p.on_side[:, None, :] * territory)
    factor = np.array([s.cbf for s in SITES])[site][:, None, None]
    session = np.exp(FLOW.session_cv * chance.normal(size=(n, 1, 1)))
    return np.asarray(FLOW.cortex * p.per_region("cbf") * np.exp(FLOW.cv * z) * disease * session * factor)
