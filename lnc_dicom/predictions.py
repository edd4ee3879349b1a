"""More nouns: what a model is, and what the biomarker model predicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.anatomy import Side, Structure


def freeze(value: object, *names: str) -> None:
    """Make fields of a frozen dataclass that are mappings read-only; called from `__post_init__`."""
    for name in names:
        object.__setattr__(value, name, MappingProxyType(dict(getattr(value, name))))


class Target(Enum):
    """What the biomarker model says, and what of it may be explained."""

    FA = "fa"
    CBF = "cbf"
    STEMS = "stems"
    DISEASE = "disease"


@dataclass(frozen=True, slots=True)
class Model:
    """What a result was made with."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Demographics:
    """What a model may know of a patient besides the image.

    age, male
        Years, and 1 for a man, 0 for a woman; nan where it is not known.
    """

    age: float = math.nan
    male: float = math.nan

    @property
    def is_known(self) -> bool:
        """Whether both are known."""
        return math.isfinite(self.age) and math.isfinite(self.male)


@dataclass(frozen=True, slots=True)
class PredictedValue:
    """A value that a model predicts, with its 90 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RegionPrediction:
    """FA (no unit) and CBF (ml/100 g/min) of one structure as predicted from the T1; never measured."""

    structure: Structure
    fa: PredictedValue
    cbf: PredictedValue


@dataclass(frozen=True, slots=True)
class StemPrediction:
    """Stems of the LSA in one hemisphere as predicted from the T1: expected count, likeliest count, its probability."""

    side: Side
    expected: PredictedValue
    likeliest: int
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class BiomarkerResult:
    """What the biomarker model says of one study.

    demonstration
        The model was trained on simulated patients; its numbers mean nothing clinically.
    age_and_sex_known
        Age and sex were known to the model; else everything comes from the T1 alone, with wider intervals.
    regions, stems
        In the order of the model's regions, left then right; a region that was not found is left out.
    distance, farthest
        How far the most unusual region lies from those that the model learned from, in SD, and how far the farthest
        of the patients lay that it was calibrated on.
    disease
        Calibrated probability of each category, in the order of the model; empty where a region is missing, or where it
        is withheld.
    disease_withheld
        The model gave probabilities, but they may not be shown anywhere.
    features
        Deep features per structure, float32 (512,).
    saliency
        What each answer rests on, float32 Volume on the grid of the T1, 0 to 1; empty where it was not asked for.
    """

    model: Model
    demonstration: bool
    age_and_sex_known: bool
    regions: tuple[RegionPrediction, ...]
    stems: tuple[StemPrediction, ...]
    distance: float
    farthest: float
    disease: Mapping[str, float]
    features: Mapping[Structure, npt.NDArray[np.float32]] = field(repr=False, default_factory=dict)
    saliency: Mapping[Target, Volume] = field(repr=False, default_factory=dict)
    disease_withheld: bool = False

    def __post_init__(self) -> None:
        """Make everything read-only."""
        freeze(self, "disease", "features", "saliency")

    @property
    def basis(self) -> str:
        """What the predictions rest on, in words."""
        return "T1, age and sex" if self.age_and_sex_known else "T1"

    def titled(self, title: str) -> str:
        """Give the title of something that shows predictions; it says first that a model is a demonstration."""
        return f"DEMONSTRATION: {title}" if self.demonstration else title

    @property
    def familiar(self) -> bool:
        """Whether the head is like those that the model was calibrated on; else its numbers rest on nothing."""
        return self.distance <= self.farthest
