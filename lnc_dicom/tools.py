"""What the stages need from outside, handed to them in one value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from highdicom import Volume

from lnc_dicom.options import Options
from lnc_dicom.predictions import BiomarkerResult, Demographics, Model, Target
from lnc_dicom.types import Segmented


class Segmenter(Protocol):
    """Turns a volume into labels on the same grid."""

    @property
    def model(self) -> Model:
        """What the labels are made with."""
        ...

    def __call__(self, volume: Volume, /) -> Segmented:
        """Label a volume."""
        ...


class Predictor(Protocol):
    """Predicts FA, CBF, stems and disease from a T1, its labels, and age and sex."""

    @property
    def model(self) -> Model:
        """What the predictions are made with."""
        ...

    @property
    def demonstration(self) -> bool:
        """Whether it learned from simulated patients: nobody gets its predictions who does not ask for them."""
        ...

    def __call__(self, volume: Volume, labels: Volume, person: Demographics, /) -> BiomarkerResult:
        """Look at one study; `labels` hold only structures that passed their gates."""
        ...


class Explainer(Protocol):
    """Says where in a T1 the answers of the biomarker model come from."""

    def __call__(self, volume: Volume, labels: Volume, answers: Sequence[Target], /) -> Mapping[Target, Volume]:
        """Give a map per answer on the grid of the volume, 0 to 1."""
        ...


STAGES = ("select", "volume", "segment", "diffusion", "perfusion", "regions", "biomarker", "saliency", "encode")
"""Names of the stages of `pipeline.process`, in order; progress bars and timings use them."""


@contextmanager
def _silent(_stage: str) -> Iterator[None]:
    yield


@dataclass(frozen=True, slots=True)
class Tools:
    """What the stages need from outside: the network, the time, and someone who watches.

    now
        The time written into the results; timezone-aware. The same study, model and time give the same bytes.
    stage
        Wrapped around every stage with its name: progress bar and stopwatch live there.
    options
        What a site has chosen about FA, CBF and the biomarker.
    predictor
        The biomarker model; None: nothing is predicted.
    explainer
        What explains its answers; None: nothing is explained.
    """

    segmenter: Segmenter
    now: datetime
    stage: Callable[[str], AbstractContextManager[None]] = _silent
    options: Options = field(default_factory=Options)
    predictor: Predictor | None = None
    explainer: Explainer | None = None
