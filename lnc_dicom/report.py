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
from lnc_dicom.study.selection import Selection
from lnc_dicom.types import AlignedMap, Caveat, Change, Check, Measurement, Segmented, Study
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
"""Caveat: the head is unlike those that the biomarker model was trained on."""
REPAIRED = "LNC-422"
"""Caveat: an attribute of the source images was not valid; our objects carry it emptied, shortened or not at all."""
OTHER_MODEL_BEFORE = "LNC-423"
"""Caveat: an earlier result is at hand, but another model or version made it."""
AGE_OR_SEX_UNKNOWN = "LNC-424"
"""Caveat: the site lets the model use age and sex, but the header does not have both."""
HEAD_CUT = "LNC-430"
"""Caveat: the edge of the images cuts the head; images may be missing."""
OTHER_MODEL = "an earlier result was made by another model or version: no change is given"

DEMONSTRATION = "demonstration model: trained on simulated patients, no clinical meaning"
BANNER = "RESEARCH - NOT FOR DIAGNOSTIC USE"

MAX_FAILED_NUCLEI = 2
"""Of the eight main nuclei this many may fail; if more do, the images show no head that the network can segment."""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything found in one study, before it becomes DICOM.

    sources
        Headers of the chosen series, without pixels, in any order.
    volume
        The chosen series as float32 Volume.
    checks
        Numbers of the gates of the study as a whole; all passed, or there would be no report.
    caveats
        In the order in which a reader meets them: the study, its structures, maps, change.
    maps
        Maps of FA and CBF that were registered to the T1; all passed their gates.
    biomarker
        What the biomarker model predicts, without what may not be shown; None where there is no model.
    prediction_caveats
        What a reader must know of the predictions; they stand where predictions do, and nowhere else.
    settings
        Settings of the site that change results; they enter the UIDs.
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
    prediction_caveats: tuple[Caveat, ...] = ()
    settings: str = ""
    change: Change | None = None

    @property
    def labels(self) -> Volume:
        """Labels that may be shown, see `passed_labels`."""
        return passed_labels(self.segmented.labels, self.measurements)


def accept(volume: Volume, segmented: Segmented, measurements: Sequence[Measurement]) -> tuple[Check, ...]:
    """Check the study as a whole. Raises a StudyRejected where the numbers cannot be those of a head on a T1 image."""
    checks = check_study(volume, segmented)
    refuse(checks, measurements, brain_is_cut=segmented.brain_is_cut)
    return checks


def passed_labels(labels: Volume, measurements: Sequence[Measurement]) -> Volume:
    """Labels that may be shown: those of structures that failed are left out."""
    failed = [m.structure.label for m in measurements if not m.passed]
    if not failed:
        return labels
    return labels.with_array(np.where(np.isin(labels.array, failed), 0, labels.array).astype(np.uint8))


def study_caveats(
    study: Study, repairs: Sequence[str], measurements: Sequence[Measurement], choice: Sequence[Caveat] = ()
) -> tuple[Caveat, ...]:
    """Say that this is research, what was wrong with files, the T1 and headers, and which structures failed.

    repairs
        What had to be repaired in the headers before they could be copied.
    choice
        What a reader must know of the choice of the T1.
    """
    return (
        _ours(RESEARCH_ONLY, BANNER),
        *study.caveats,
        *choice,
        *(_ours(REPAIRED, f"header repaired: {what}") for what in repairs),
        *(_ours(STRUCTURE_FAILED, failure_text(m)) for m in measurements if not m.passed),
    )


def cut_caveats(cut: Mapping[str, float]) -> tuple[Caveat, ...]:
    """Say on which sides the head is cut; `cut` as `measure.field_of_view.cut_sides` gives it."""
    if not cut:
        return ()
    sides = ", ".join(f"{side} ({share:.0%} of the largest slice)" for side, share in cut.items())
    return (_ours(HEAD_CUT, f"the edge of the images cuts the head: {sides}; images may be missing"),)


def biomarker_caveats(biomarker: BiomarkerResult | None, options: BiomarkerOptions) -> tuple[Caveat, ...]:
    """Say what a reader must know of the predictions."""
    if biomarker is None:
        return ()
    caveats = [_ours(DEMONSTRATION_MODEL, DEMONSTRATION)] if biomarker.demonstration else []
    if not biomarker.disease and not biomarker.disease_withheld:
        caveats.append(_ours(NOT_PREDICTED, "disease categories not predicted: a region that they need is missing"))
    if not biomarker.familiar:
        caveats.append(_ours(UNFAMILIAR, unfamiliar_text(biomarker)))
    if options.age_and_sex and not biomarker.age_and_sex_known:
        caveats.append(_ours(AGE_OR_SEX_UNKNOWN, "age or sex is not in the header: predicted from the T1 alone"))
    return tuple(caveats)


def with_disease_withheld(biomarker: BiomarkerResult, options: BiomarkerOptions) -> BiomarkerResult:
    """Take the probabilities of disease away from a demonstration model's result, unless the site asks for them."""
    if options.demonstration_disease or not biomarker.demonstration:
        return biomarker
    return replace(biomarker, disease={}, disease_withheld=bool(biomarker.disease))


def _ours(code: str, text: str) -> Caveat:
    return Caveat(code, text, is_our_text=True)


def unfamiliar_text(biomarker: BiomarkerResult) -> str:
    """Say that predictions are unreliable, and how far the head lies outside of the training data."""
    return (
        "predictions are unreliable: this head is unlike those that the model was trained on "
        f"(distance {biomarker.distance:.1f} SD, at most {biomarker.farthest:.1f} among them)"
    )


def volume_change(
    study: Study, header: Dataset, measurements: Sequence[Measurement], algorithm: tuple[str, str]
) -> Change | None:
    """Compare volumes with those of an earlier study of the patient; None where no result of one is at hand.

    header
        Of an image of the new study.
    algorithm
        Name and version of what measured the volumes, as the SR names it.
    """
    volumes_mm3 = {m.structure: m.volume_ml * 1000 for m in measurements if m.passed}
    tracking = {m.structure: tracking_uid(header, m.structure.title) for m in measurements}
    return change_since(study.priors, header, algorithm, volumes_mm3, tracking)


def change_caveats(change: Change | None) -> tuple[Caveat, ...]:
    """Say why no change is given although an earlier result is at hand."""
    return (_ours(OTHER_MODEL_BEFORE, OTHER_MODEL),) if change and not change.volumes else ()


def failure_text(measurement: Measurement) -> str:
    """Say why a structure failed: the gate, its number and its limit, never the volume. Empty if it passed."""
    failure = measurement.failure
    return f"{measurement.structure.title} failed: {failure.code} {failure}" if failure else ""


def refuse(checks: Sequence[Check], measurements: Sequence[Measurement], *, brain_is_cut: bool = False) -> None:
    """Raise where the images are cut, are no head, show another contrast, or are too poor.

    A head is recognised by the arrangement of its structures. With another contrast, nuclei may fail because of it;
    the user is then told of the contrast.
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
