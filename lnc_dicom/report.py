"""Everything found → Report. No DICOM yet."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom import Volume
from pydicom import Dataset

from lnc_dicom.anatomy import MAIN_NUCLEI
from lnc_dicom.errors import FieldOfViewTooSmall, NoHead
from lnc_dicom.types import Caveat, Measurement, Model, Quality, Report, Segmented, Selection, Study

STRUCTURE_FAILED = "LNC-402"
"""Caveat: a structure was not found, is cut by the edge of the images, is not sure, or has an impossible volume."""
RESEARCH_ONLY = "LNC-400"
"""Caveat on every result."""

BANNER = "RESEARCH - NOT FOR DIAGNOSTIC USE"

MAX_FAILED_NUCLEI = 2
"""Of the eight main nuclei this many may fail; with more, the images do not show a head as the network knows it."""


def compose(
    study: Study,
    selection: Selection,
    sources: Sequence[Dataset],
    volume: Volume,
    segmented: Segmented,
    measurements: tuple[Measurement, ...],
    model: Model,
) -> Report:
    """Put the parts together. Raises FieldOfViewTooSmall, NoHead where the numbers cannot mean a head."""
    refuse_failed(measurements, brain_is_cut=segmented.brain_is_cut)
    caveats = (
        Caveat(RESEARCH_ONLY, BANNER),
        *study.caveats,
        *(
            Caveat(STRUCTURE_FAILED, f"{m.structure.title}: {m.quality.value} ({m.volume_ml:.2f} mL)")
            for m in measurements
            if m.quality is not Quality.PASSED
        ),
    )
    return Report(study, selection, sources, volume, segmented, measurements, caveats, model)


def refuse_failed(measurements: tuple[Measurement, ...], *, brain_is_cut: bool = False) -> None:
    """Raise when the main nuclei are cut, or when too many of them failed: a head cut elsewhere, or no head."""
    nuclei = [m for m in measurements if m.structure.name in MAIN_NUCLEI]
    cut = [m.structure.title for m in nuclei if m.quality is Quality.CUT]
    if cut:
        raise FieldOfViewTooSmall(f"the edge of the images cuts {'; '.join(cut)}")
    failed = [m.structure.title for m in nuclei if m.quality is not Quality.PASSED]
    if len(failed) > MAX_FAILED_NUCLEI:
        family = FieldOfViewTooSmall if brain_is_cut else NoHead
        raise family(f"{len(failed)} of {len(nuclei)} nuclei failed: {'; '.join(failed)}")
