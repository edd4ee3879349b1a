"""Predictions of the biomarker model → a Comprehensive 3D SR of its own (TID 1500).

Nothing in it was measured: title, series and every name say so, and nothing of it is in the report of measurements.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    FindingSite,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    QualitativeEvaluation,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom.sr.coding import Code

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.codes import (
    BRAIN,
    BRAIN_MRI,
    CATEGORY_PROBABILITY,
    CAVEAT,
    CEREBRAL_HEMISPHERE,
    DEMONSTRATION_MODEL,
    DEMONSTRATION_REPORT,
    LATERALITY,
    LOCAL_SCHEME,
    NO_UNITS,
    PREDICTED_CBF,
    PREDICTED_FA,
    PREDICTED_FROM_T1,
    PREDICTED_FROM_T1_AND_PERSON,
    PREDICTED_REPORT,
    PREDICTED_STEMS,
    UNFAMILIAR_HEAD,
)
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.sr.document import library_entry, observer
from lnc_dicom.encode.sr.groups import Topic, topic_groups
from lnc_dicom.encode.sr.items import evaluation_item, number_item, site_of
from lnc_dicom.encode.sr.outline import Placement
from lnc_dicom.encode.sr.relationships import relate_methods, separate
from lnc_dicom.predictions import BiomarkerResult, PredictedValue, RegionPrediction, StemPrediction
from lnc_dicom.provenance import software_version
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.report import BANNER, DEMONSTRATION, Report, unfamiliar_text

SERIES_NUMBER = 9011
_LONGEST_MEANING = 64


def prediction_report(report: Report, provenance: Provenance) -> list[Comprehensive3DSR]:
    """Encode everything that was predicted as one document; an empty list where nothing was."""
    biomarker = report.biomarker
    groups = prediction_groups(biomarker, provenance, Placement(report.labels, report.sources)) if biomarker else []
    if biomarker is None or not groups:
        return []
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer(report, provenance)),
        procedure_reported=BRAIN_MRI,
        imaging_measurements=groups,
        title=DEMONSTRATION_REPORT if biomarker.demonstration else PREDICTED_REPORT,
        referenced_images=[library_entry(report)],
    )
    series = biomarker.titled("predicted, not measured (RESEARCH)")
    document = Comprehensive3DSR(
        evidence=report.sources,
        content=content,
        is_complete=True,
        is_final=False,
        is_verified=False,
        **provenance.common("predictions", SERIES_NUMBER, series),
    )
    document.CompletionFlagDescription = f"Automatic, not reviewed. {BANNER}."
    separate(document)
    relate_methods(document)
    provenance.finish(document)
    return [document]


def prediction_groups(
    biomarker: BiomarkerResult, provenance: Provenance, placement: Placement
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give groups for FA and CBF per structure, for LSA stems per side and for disease categories, if there are any.

    The method is at group level, where readers look for it, and says whether the model knew age and sex.
    """
    method = PREDICTED_FROM_T1_AND_PERSON if biomarker.age_and_sex_known else PREDICTED_FROM_T1
    topics = [
        *(_region(prediction, placement) for prediction in biomarker.regions),
        *(_stems(prediction, placement) for prediction in biomarker.stems),
    ]
    if biomarker.disease:
        topics.append(_disease(biomarker, placement))
    model = biomarker.model
    version = f"{model.version}; {model.digest[:12]}; lnc-dicom {software_version()}"
    made_by = AlgorithmIdentification(model.name, version)
    return [
        group
        for topic, items in topics
        for group in topic_groups(
            replace(topic, method=method, algorithm=made_by), provenance, items, _warnings(biomarker)
        )
    ]


def _region(prediction: RegionPrediction, placement: Placement) -> tuple[Topic, list[MeasurementItem]]:
    """Give predicted FA and CBF of one structure with their 90 % intervals; they are shown at its outline."""
    structure, fa, cbf = prediction.structure, prediction.fa, prediction.cbf
    return Topic(f"{structure.title}, predicted", site_of(structure), partial(placement.place, structure.label)), [
        _quantity_item(PREDICTED_FA, fa, Quantity.FA),
        _quantity_item(PREDICTED_CBF, cbf, Quantity.CBF),
    ]


def _quantity_item(name: Code, predicted: PredictedValue, quantity: Quantity) -> MeasurementItem:
    """Encode a prediction under a name of its own, with the unit and the digits of the quantity."""
    properties = QUANTITIES[quantity]
    interval = (predicted.low, predicted.high)
    return number_item(name, predicted.value, properties.unit, properties.coded_digits, interval)


def _stems(prediction: StemPrediction, placement: Placement) -> tuple[Topic, list[MeasurementItem]]:
    expected, side = prediction.expected, prediction.side
    site = FindingSite(CEREBRAL_HEMISPHERE, laterality=LATERALITY[side])
    anchor = partial(placement.anchor, [s.label for s in STRUCTURES if s.side is side])
    item = number_item(PREDICTED_STEMS, expected.value, NO_UNITS, 2, (expected.low, expected.high))
    return Topic(f"LSA stems, {side.value}, predicted", site, anchor), [item]


def _disease(biomarker: BiomarkerResult, placement: Placement) -> tuple[Topic, list[MeasurementItem]]:
    """Give the calibrated probability of every category."""
    names = {
        Code(f"{CATEGORY_PROBABILITY}-{i}", LOCAL_SCHEME, f"Probability of {name}"[:_LONGEST_MEANING]): probability
        for i, (name, probability) in enumerate(biomarker.disease.items(), start=1)
    }
    anchor = partial(placement.anchor, [s.label for s in STRUCTURES])
    items = [number_item(name, p, NO_UNITS, 3) for name, p in names.items()]
    return Topic("Disease categories, predicted", FindingSite(BRAIN), anchor), items


def _warnings(biomarker: BiomarkerResult) -> list[QualitativeEvaluation]:
    """Give, coded and in words, the reasons why the numbers must not be used."""
    warnings = [evaluation_item(CAVEAT, DEMONSTRATION_MODEL, DEMONSTRATION)] if biomarker.demonstration else []
    if not biomarker.familiar:
        warnings.append(evaluation_item(CAVEAT, UNFAMILIAR_HEAD, unfamiliar_text(biomarker)))
    return warnings
