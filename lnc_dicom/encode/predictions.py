"""What the biomarker model predicts → content of the SR. Nothing here was measured, and every name says so."""

from __future__ import annotations

from highdicom import UID
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ContentSequence,
    FindingSite,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TextContentItem,
    TrackingIdentifier,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lnc_dicom.anatomy import STRUCTURES, Structure
from lnc_dicom.codes import (
    BRAIN,
    CATEGORY_PROBABILITY,
    CAVEAT,
    CEREBRAL_HEMISPHERE,
    DEMONSTRATION_MODEL,
    LATERALITY,
    LOCAL_SCHEME,
    ML_PER_100_G_AND_MINUTE,
    NO_UNITS,
    PREDICTED_CBF,
    PREDICTED_FA,
    PREDICTED_FROM_T1,
    PREDICTED_ROOTS,
)
from lnc_dicom.encode.items import measured, shown_at
from lnc_dicom.encode.origin import Origin, software_version
from lnc_dicom.encode.outline import Canvas
from lnc_dicom.predictions import Biomarker, RootPrediction
from lnc_dicom.report import DEMONSTRATION

_LONGEST_MEANING = 64


def predicted_items(biomarker: Biomarker | None, structure: Structure) -> list[MeasurementItem]:
    """Give predicted FA and CBF of one structure with their 90 % intervals; nothing where there is no prediction."""
    found = next((r for r in biomarker.regions if r.structure == structure), None) if biomarker else None
    if found is None:
        return []
    fa, cbf = found.fa, found.cbf
    return [
        measured(PREDICTED_FA, fa.value, NO_UNITS, 4, (fa.low, fa.high), method=PREDICTED_FROM_T1),
        measured(PREDICTED_CBF, cbf.value, ML_PER_100_G_AND_MINUTE, 2, (cbf.low, cbf.high), method=PREDICTED_FROM_T1),
    ]


def prediction_groups(
    biomarker: Biomarker | None, origin: Origin, canvas: Canvas, *, with_disease: bool
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give one TID 1501 group per hemisphere (stems of the LSA) and, if wanted, one for the disease categories."""
    if biomarker is None:
        return []
    groups = [_roots(prediction, biomarker, origin, canvas) for prediction in biomarker.roots]
    if with_disease and biomarker.disease:
        groups.append(_disease(biomarker, origin, canvas))
    return groups


def _roots(
    prediction: RootPrediction, biomarker: Biomarker, origin: Origin, canvas: Canvas
) -> MeasurementsAndQualitativeEvaluations:
    expected = prediction.expected
    anchor = canvas.anchor([s.label for s in STRUCTURES if s.side is prediction.side])
    item = shown_at(anchor, measured(PREDICTED_ROOTS, expected.value, NO_UNITS, 2, (expected.low, expected.high)))
    site = FindingSite(CEREBRAL_HEMISPHERE, laterality=LATERALITY[prediction.side])
    return _group(f"LSA stems, {prediction.side.value}, predicted", [item], site, biomarker, origin)


def _disease(biomarker: Biomarker, origin: Origin, canvas: Canvas) -> MeasurementsAndQualitativeEvaluations:
    """Give the calibrated probability of every category."""
    anchor = canvas.anchor([s.label for s in STRUCTURES])
    names = {
        Code(f"{CATEGORY_PROBABILITY}-{i}", LOCAL_SCHEME, f"Probability of {name}"[:_LONGEST_MEANING]): probability
        for i, (name, probability) in enumerate(biomarker.disease.items(), start=1)
    }
    items = [shown_at(anchor, measured(name, p, NO_UNITS, 3)) for name, p in names.items()]
    return _group("Disease categories, predicted", items, FindingSite(BRAIN), biomarker, origin)


def _group(
    title: str, items: list[MeasurementItem], site: FindingSite, biomarker: Biomarker, origin: Origin
) -> MeasurementsAndQualitativeEvaluations:
    model = biomarker.model
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(UID(origin.tracking_uid(title)), title),
        finding_sites=[site],
        method=PREDICTED_FROM_T1,
        algorithm_id=AlgorithmIdentification(
            model.name, f"{model.version}; {model.digest[:12]}; lnc-dicom {software_version()}"
        ),
        measurements=items,
        qualitative_evaluations=[_warning()] if biomarker.demonstration else [],
    )


def _warning() -> QualitativeEvaluation:
    """Say, coded and in full, that the numbers of a demonstration model mean nothing clinically."""
    item = QualitativeEvaluation(CodedConcept.from_code(CAVEAT), CodedConcept.from_code(DEMONSTRATION_MODEL))
    text = TextContentItem(
        CodedConcept.from_code(codes.DCM.Comment), DEMONSTRATION, RelationshipTypeValues.HAS_PROPERTIES
    )
    item[0].ContentSequence = ContentSequence([text])
    return item
