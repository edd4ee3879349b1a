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

from lnc_dicom.anatomy import Structure
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
    UNFAMILIAR_HEAD,
)
from lnc_dicom.encode.items import measured
from lnc_dicom.encode.origin import Origin, software_version
from lnc_dicom.predictions import Biomarker, RootPrediction
from lnc_dicom.report import DEMONSTRATION, unfamiliar_text

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
    biomarker: Biomarker | None, origin: Origin, *, with_disease: bool
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give one TID 1501 group per hemisphere (stems of the LSA) and, if wanted, one for the disease categories."""
    if biomarker is None:
        return []
    groups = [_roots(prediction, biomarker, origin) for prediction in biomarker.roots]
    if with_disease and biomarker.disease:
        groups.append(_disease(biomarker, origin))
    return groups


def _roots(prediction: RootPrediction, biomarker: Biomarker, origin: Origin) -> MeasurementsAndQualitativeEvaluations:
    expected = prediction.expected
    item = measured(PREDICTED_ROOTS, expected.value, NO_UNITS, 2, (expected.low, expected.high))
    site = FindingSite(CEREBRAL_HEMISPHERE, laterality=LATERALITY[prediction.side])
    return _group(f"LSA stems, {prediction.side.value}, predicted", [item], site, biomarker, origin)


def _disease(biomarker: Biomarker, origin: Origin) -> MeasurementsAndQualitativeEvaluations:
    """Give the calibrated probability of every category."""
    items = [
        measured(
            Code(f"{CATEGORY_PROBABILITY}-{i}", LOCAL_SCHEME, f"Probability of {name}"[:_LONGEST_MEANING]),
            probability,
            NO_UNITS,
            3,
        )
        for i, (name, probability) in enumerate(biomarker.disease.items(), start=1)
    ]
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
        qualitative_evaluations=_warnings(biomarker),
    )


def _warnings(biomarker: Biomarker) -> list[QualitativeEvaluation]:
    """Say, coded and in full, why the numbers mean nothing clinically."""
    said = [_warning(DEMONSTRATION_MODEL, DEMONSTRATION)] if biomarker.demonstration else []
    return said if biomarker.familiar else [*said, _warning(UNFAMILIAR_HEAD, unfamiliar_text(biomarker))]


def _warning(code: Code, sentence: str) -> QualitativeEvaluation:
    item = QualitativeEvaluation(CodedConcept.from_code(CAVEAT), CodedConcept.from_code(code))
    text = TextContentItem(CodedConcept.from_code(codes.DCM.Comment), sentence, RelationshipTypeValues.HAS_PROPERTIES)
    item[0].ContentSequence = ContentSequence([text])
    return item
