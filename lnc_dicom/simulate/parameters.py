"""Parameters of the distributions that simulated patients are drawn from, each with its source.

Numbers with a source were measured; all others are assumptions of this project and are marked as such. Lengths in mm,
volumes in mL, FA without unit, CBF in mL/100 g/min. Age enters in decades from `AGE_MEAN`: (age - 57) / 10.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("low risk", "hypertension / small-vessel disease", "LSA-territory ischaemia or MCA stenosis")
"""Names of the three disease categories; the paper does not name its own."""

REGIONS = ("caudate", "putamen", "pallidum", "thalamus", "internal capsule")
"""Structures with an FA and a CBF of their own."""


@dataclass(frozen=True, slots=True)
class Stems:
    """LSA stems per hemisphere: mean and SD by group, correlation between sides, loading of age, SD of the reader.

    3.9 ± 0.9 on 3T TOF in 126 patients; 4.3 on the side of a stroke against 5.0; r = -.33 with age at 7T (n = 140). The
    reader error and the means of the diseased groups are assumptions.
    """

    mean: tuple[float, ...] = (3.9, 3.1, 2.9)
    sd: tuple[float, ...] = (0.9, 0.8, 1.0)
    sides: float = 0.6
    age: float = -0.33
    affected_side: float = 0.35
    reader_sd: float = 0.5
    least: int = 1
    most: int = 9


@dataclass(frozen=True, slots=True)
class Region:
    """Distribution of one structure over people.

    volume_sd
        Residual SD relative to the mean (braincharts, N about 58,830).
    volume_decade, volume_sex, volume_head
        Change per decade relative to the mean; men minus women in SD; correlation with head size.
    volume_integrity
        Correlation of the volume with the integrity of the LSA (stems and putamen r = .27, pallidum .27, capsule .25,
        7T).
    volume_sides, volume_person
        Residual correlation between sides (FCON1000), and loading of the factor that all nuclei of a person share.
    volume_disease
        Change with disease in SD (assumption).
    t1, t1_iron, t1_integrity, t1_sd
        Intensity relative to white matter (MNI152, real heads), its change per SD of iron and of integrity, and its
        residual SD (assumptions).
    fa, fa_sd, fa_age, fa_iron, fa_integrity, fa_disease
        Mean FA, SD, and loadings in SD (FA of the nuclei rises with age, as iron does; FA of the capsule falls; that of
        disease is an assumption).
    cbf, cbf_integrity, cbf_disease
        Ratio to cortex (ExploreASL templates), loading in SD of CBF, relative change with disease (assumptions).
    """

    volume_sd: float
    volume_decade: float
    volume_sex: float
    volume_integrity: float
    volume_sides: float
    volume_disease: float
    t1: float
    t1_iron: float
    t1_integrity: float
    fa: float
    fa_sd: float
    fa_age: float
    fa_iron: float
    fa_integrity: float
    fa_disease: float
    cbf: float
    cbf_integrity: float
    cbf_disease: float
    volume_head: float = 0.35
    volume_person: float = 0.3
    t1_sd: float = 0.008


REGION: dict[str, Region] = {
    "caudate": Region(
        *(0.130, -0.039, 0.52, 0.20, 0.90, -0.3),
        *(0.735, 0.010, 0.005),
        *(0.21, 0.025, 0.0, 0.65, 0.15, -0.2),
        *(0.95, 0.30, -0.10),
    ),
    "putamen": Region(
        *(0.110, -0.039, 0.82, 0.27, 0.88, -0.4),
        *(0.785, 0.016, 0.006),
        *(0.24, 0.028, 0.0, 0.72, 0.15, -0.2),
        *(1.07, 0.35, -0.12),
    ),
    "pallidum": Region(
        *(0.111, -0.018, 0.69, 0.27, 0.66, -0.2),
        *(0.900, 0.018, 0.004),
        *(0.26, 0.030, 0.0, 0.35, 0.10, -0.2),
        *(0.70, 0.30, -0.10),
    ),
    "thalamus": Region(
        *(0.098, -0.040, 0.78, 0.0, 0.81, -0.1),
        *(0.860, 0.004, 0.0),
        *(0.30, 0.022, 0.1, 0.10, 0.0, 0.0),
        *(1.10, 0.0, 0.0),
    ),
    "internal capsule": Region(
        *(0.110, -0.020, 0.60, 0.25, 0.85, -0.2),
        *(0.945, 0.0, 0.002),
        *(0.60, 0.030, -0.45, 0.0, 0.25, -0.45),
        *(0.75, 0.25, -0.10),
    ),
}


@dataclass(frozen=True, slots=True)
class Flow:
    """CBF of the cortex: mean, CV between people, loadings of the logarithm in SD, repeatability.

    CV 16 to 21 %, mostly one global factor; -0.41 % per year; higher in women; within-subject CV 14 % (PMC4501671), of
    which the part common to a session is simulated. The extra loss on the affected side is an assumption.
    """

    cortex: float = 54.0
    cv: float = 0.17
    decade: float = -0.30
    woman: float = 0.35
    sides: float = 0.9
    session_cv: float = 0.06
    affected_side: float = -0.10
    voxel_sd: float = 10.0


@dataclass(frozen=True, slots=True)
class Lesions:
    """Lesions on T1, per hemisphere (assumptions; counts are Poisson-distributed with these means).

    spaces
        Perivascular spaces of the basal ganglia by group; more with age and with fewer arteries.
    lacunes
        Lacunes by group.
    scar_chance, scar_mm
        Probability of a chronic infarct on the affected side of the third group, and the range of its radius.
    caps_mm
        Thickness of the dark periventricular caps by group; caps_age: its change per decade.
    """

    spaces: tuple[float, ...] = (3.0, 7.0, 5.0)
    spaces_age: float = 0.25
    spaces_integrity: float = -0.30
    lacunes: tuple[float, ...] = (0.05, 0.6, 0.4)
    scar_chance: float = 0.6
    scar_mm: tuple[float, float] = (3.5, 7.0)
    caps_mm: tuple[float, ...] = (1.0, 2.2, 1.6)
    caps_age: float = 0.4


@dataclass(frozen=True, slots=True)
class Site:
    """A scanner and its effect on images (three scanners, an assumption).

    t1_contrast scales the contrast to white matter; noise is relative to white matter; fa and cbf are factors.
    """

    name: str
    t1_contrast: float
    noise: float
    bias: float
    fa: float
    cbf: float


SITES = (
    Site("A", 1.00, 0.025, 0.03, 1.00, 1.00),
    Site("B", 1.04, 0.035, 0.05, 1.02, 0.93),
    Site("C", 0.97, 0.030, 0.02, 0.97, 1.06),
)

STEMS, FLOW, LESIONS = Stems(), Flow(), Lesions()

AGE_MEAN, AGE_SD, AGE_RANGE = 57.0, 12.0, (30.0, 85.0)
CONFOUNDED_AGE_MEAN = (45.0, 60.0, 68.0)
"""Mean age by group in an age-confounded cohort."""
IRON_AGE = 0.75
"""Correlation of iron with age."""
HEAD_L, HEAD_SD_L, HEAD_SEX_SD = 1.54, 0.135, 1.15
"""Intracranial volume in litres, and men minus women in SD (braincharts)."""
FA_SIDES = 0.6
"""Correlation of the residual of FA between sides."""
FA_SESSION_CV = 0.02
"""Within-subject CV of the FA of a region between sessions (Veenith 2013)."""
VENTRICLE_SD, VENTRICLE_DECADE = 0.35, 0.22
"""Logarithm of the volume of the lateral ventricles: SD between people and change per decade."""
