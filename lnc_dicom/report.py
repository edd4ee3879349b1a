"""Everything found → Report. No DICOM yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from highdicom import Volume
from pydicom import Dataset

from lnc_dicom.anatomy import MAIN_NUCLEI
from lnc_dicom.errors import FieldOfViewTooSmall, NoHead, NotT1Contrast
from lnc_dicom.measure.gates import EDGE_VOXELS, FEATURE_DISTANCE, MISFIT, STUDY_GATES, Gate, check_study
from lnc_dicom.options import BiomarkerOptions
from lnc_dicom.predictions import BiomarkerResult, Model
from lnc_dicom.study.priors import change_since
from lnc_dicom.types import AlignedMap, Caveat, Change, Check, Measurement, Segmented, Selection, Study
from lnc_dicom.uids import tracking_uid

STRUCTURE_FAILED = "LNC-402"
"""Caveat: a structure did not pass a gate; its number is not given."""
RESEARCH_ONLY = "LNC-400"
"""Caveat on every result."""
DEMONSTRATION_MODEL = "LNC-408"
"""Caveat: predictions of a model that was trained on simulated patients."""
NOT_PREDICTED = "LNC-409"
"""Caveat: something was not predicted because a region that it needs was not found."""
UNFAMILIAR = "LNC-421"
"""Caveat: the head is unlike those that the biomarker model learned from."""
REPAIRED = "LNC-422"
"""Caveat: an attribute of the source images was not valid; objects of ours carry it emptied, cut or not at all."""
OTHER_MODEL_BEFORE = "LNC-423"
"""Caveat: an earlier result is at hand, but another model or version made it."""
UNTOLD = "LNC-424"
"""Caveat: the model may be told age and sex, but the header does not tell both."""
OTHER_MODEL = "an earlier result was made by another model or version: no change is given"
OWN_CAVEATS = frozenset({STRUCTURE_FAILED, *(f"LNC-{number}" for number in range(403, 425))})
"""Caveats whose text is ours alone, numbers and names of structures; they may be drawn."""

DEMONSTRATION = "demonstration model: trained on simulated patients, no clinical meaning"
BANNER = "RESEARCH - NOT FOR DIAGNOSTIC USE"

MAX_FAILED_NUCLEI = 2
"""Of the eight main nuclei this many may fail; with more, the images do not show a head as the network knows it."""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything found in one study, before it becomes DICOM.

    sources
        Headers of the chosen series, without pixels, in any order.
    volume
        The chosen series as float32 Volume.
    checks
        What the gates found of the study as a whole; all passed, or there would be no report.
    maps
        Maps of FA and CBF that were laid on the T1; all passed their gates.
    biomarker
        What the biomarker model predicts; None where there is none.
    shows_disease
        Whether its probabilities of disease may be written into objects that go to a PACS.
    settings
        What a site has chosen that changes results; enters the UIDs.
    change
        How volumes changed since an earlier study of the patient; None where no result of one is at hand.
    """

    study: Study
    selection: Selection
    sources: Sequence[Dataset] = field(repr=False)
    volume: Volume = field(repr=False)
    segmented: Segmented
    measurements: tuple[Measurement, ...]
    checks: tuple[Check, ...]
    caveats: tuple[Caveat, ...]
    model: Model
    maps: tuple[AlignedMap, ...] = ()
    biomarker: BiomarkerResult | None = None
    shows_disease: bool = False
    settings: str = ""
    change: Change | None = None

    @property
    def labels(self) -> Volume:
        """Labels that may be shown: those of structures that failed are left out."""
        failed = [m.structure.label for m in self.measurements if not m.passed]
        if not failed:
            return self.segmented.labels
        array = self.segmented.labels.array
        return self.segmented.labels.with_array(np.where(np.isin(array, failed), 0, array).astype(np.uint8))


def compose(
    study: Study,
    selection: Selection,
    sources: Sequence[Dataset],
    volume: Volume,
    segmented: Segmented,
    measurements: tuple[Measurement, ...],
    model: Model,
) -> Report:
    """Put the parts together. Raises a StudyRejected where the numbers cannot mean a head on a T1 image."""
    checks = check_study(volume, segmented)
    refuse(checks, measurements, brain_is_cut=segmented.brain_is_cut)
    caveats = (
        Caveat(RESEARCH_ONLY, BANNER),
        *study.caveats,
        *(Caveat(STRUCTURE_FAILED, failure_text(m)) for m in measurements if not m.passed),
    )
    return Report(study, selection, sources, volume, segmented, measurements, checks, caveats, model)


def with_repairs(study: Study, repairs: Sequence[str]) -> Study:
    """Add what had to be repaired in the headers before they could be copied."""
    return replace(study, caveats=(*study.caveats, *(Caveat(REPAIRED, f"header repaired: {what}") for what in repairs)))


def with_maps(report: Report, maps: tuple[AlignedMap, ...], caveats: tuple[Caveat, ...]) -> Report:
    """Add where FA and CBF came from, and why what is missing is missing."""
    return replace(report, maps=maps, caveats=(*report.caveats, *caveats))


def with_biomarker(report: Report, biomarker: BiomarkerResult, options: BiomarkerOptions) -> Report:
    """Add what the biomarker model predicts, and what has to be said of it."""
    caveats = [Caveat(DEMONSTRATION_MODEL, DEMONSTRATION)] if biomarker.demonstration else []
    if not biomarker.disease:
        caveats.append(Caveat(NOT_PREDICTED, "disease categories not predicted: a region that they need is missing"))
    if not biomarker.familiar:
        caveats.append(Caveat(UNFAMILIAR, unfamiliar_text(biomarker)))
    if options.age_and_sex and not biomarker.age_and_sex_known:
        caveats.append(Caveat(UNTOLD, "age or sex is not in the header: predicted from the T1 alone"))
    shows = options.demonstration_disease or not biomarker.demonstration
    return replace(report, biomarker=biomarker, shows_disease=shows, caveats=(*report.caveats, *caveats))


def unfamiliar_text(biomarker: BiomarkerResult) -> str:
    """Say that predictions are not to be believed, and by how much the head is out of what is known."""
    return (
        "predictions are not to be believed: this head is unlike those that the model learned from "
        f"(distance {biomarker.distance:.1f} SD, at most {biomarker.farthest:.1f} among them)"
    )


def with_change(report: Report, algorithm: tuple[str, str]) -> Report:
    """Add how volumes changed since an earlier study, if a result of one is at hand.

    algorithm
        Name and version of what measured the volumes, as the SR names it.
    """
    header = report.sources[0]
    volumes_mm3 = {m.structure: m.volume_ml * 1000 for m in report.measurements if m.passed}
    tracking = {m.structure: tracking_uid(header, m.structure.title) for m in report.measurements}
    change = change_since(report.study.priors, header, algorithm, volumes_mm3, tracking)
    caveats = [Caveat(OTHER_MODEL_BEFORE, OTHER_MODEL)] if change and not change.volumes else []
    return replace(report, change=change, caveats=(*report.caveats, *caveats))


def failure_text(measurement: Measurement) -> str:
    """Say why a structure failed: the gate, its number and its limit, never the measurement."""
    failure = measurement.failure
    return f"{measurement.structure.title} failed: {failure.code} {failure}" if failure else ""


def refuse(checks: Sequence[Check], measurements: Sequence[Measurement], *, brain_is_cut: bool = False) -> None:
    """Raise where the images are cut, are no head, show another contrast, or are too poor.

    A head is recognised by the arrangement of its structures: with another contrast nuclei may fail because of it, and
    then the contrast is what the user has to hear of.
    """
    by_code = {check.code: check for check in checks}
    _refuse_cut(measurements)
    if by_code[MISFIT.code].passed and by_code[FEATURE_DISTANCE.code].passed:
        _refuse_by_gates([gate for gate in STUDY_GATES if gate.refusal is NotT1Contrast], by_code)
    _refuse_failed(measurements, brain_is_cut=brain_is_cut)
    _refuse_by_gates(STUDY_GATES, by_code)


def _refuse_by_gates(gates: Sequence[Gate], by_code: Mapping[str, Check]) -> None:
    for gate in gates:
        check = by_code[gate.code]
        if gate.refusal is not None and not check.passed:
            raise gate.refusal(f"{check.code} {check}")


def _nuclei(measurements: Sequence[Measurement]) -> list[Measurement]:
    return [m for m in measurements if m.structure.name in MAIN_NUCLEI]


def _refuse_cut(measurements: Sequence[Measurement]) -> None:
    cut = [m.structure.title for m in _nuclei(measurements) if m.failure and m.failure.code == EDGE_VOXELS.code]
    if cut:
        raise FieldOfViewTooSmall(f"the edge of the images cuts {'; '.join(cut)}")


def _refuse_failed(measurements: Sequence[Measurement], *, brain_is_cut: bool) -> None:
    """Raise when too many nuclei failed: a head cut elsewhere, or no head."""
    nuclei = _nuclei(measurements)
    failed = [m for m in nuclei if not m.passed]
    if len(failed) > MAX_FAILED_NUCLEI:
        family = FieldOfViewTooSmall if brain_is_cut else NoHead
        raise family(f"{len(failed)} of {len(nuclei)} nuclei failed: {'; '.join(map(failure_text, failed))}")
