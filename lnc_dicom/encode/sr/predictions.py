"""What the biomarker model predicts → content of the SR. Nothing here was measured, and every name says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom.sr.coding import Code

from lnc_dicom.anatomy import STRUCTURES
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
    PREDICTED_FROM_T1_AND_PERSON,
    PREDICTED_STEMS,
    STRUCTURE,
    UNFAMILIAR_HEAD,
)
from lnc_dicom.encode.provenance import Origin
from lnc_dicom.encode.sr.groups import Topic, topic_groups
from lnc_dicom.encode.sr.items import judged, measured
from lnc_dicom.encode.sr.outline import Anchor, Canvas, Outline
from lnc_dicom.predictions import BiomarkerResult, RegionPrediction, StemPrediction
from lnc_dicom.provenance import software_version
from lnc_dicom.report import DEMONSTRATION, unfamiliar_text

_LONGEST_MEANING = 64


def prediction_groups(
    biomarker: BiomarkerResult | None, origin: Origin, canvas: Canvas, *, with_disease: bool
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give TID 1501 groups: FA and CBF per structure, stems of the LSA per side and, if wanted, disease categories.

    They stand apart from what was measured, each with the method at group level: there readers look for it.
    The method says whether the model knew age and sex.
    """
    if biomarker is None:
        return []
    method = PREDICTED_FROM_T1_AND_PERSON if biomarker.age_and_sex_known else PREDICTED_FROM_T1
    topics = [
        *(_region(prediction, canvas) for prediction in biomarker.regions),
        *(_stems(prediction, canvas) for prediction in biomarker.stems),
    ]
    if with_disease and biomarker.disease:
        topics.append(_disease(biomarker, canvas))
    model = biomarker.model
    version = f"{model.version}; {model.digest[:12]}; lnc-dicom {software_version()}"
    made_by = AlgorithmIdentification(model.name, version)
    return [
        group
        for topic, items in topics
        for group in topic_groups(replace(topic, method=method, algorithm=made_by), origin, items, _warnings(biomarker))
    ]


def _region(prediction: RegionPrediction, canvas: Canvas) -> tuple[Topic, list[MeasurementItem]]:
    """Give predicted FA and CBF of one structure with their 90 % intervals, shown at its outline."""
    structure, fa, cbf = prediction.structure, prediction.fa, prediction.cbf
    site = FindingSite(STRUCTURE[structure.name], laterality=LATERALITY[structure.side])
    return _topic(f"{structure.title}, predicted", site, partial(canvas.place, structure.label)), [
        measured(PREDICTED_FA, fa.value, NO_UNITS, 4, (fa.low, fa.high)),
        measured(PREDICTED_CBF, cbf.value, ML_PER_100_G_AND_MINUTE, 2, (cbf.low, cbf.high)),
    ]


def _stems(prediction: StemPrediction, canvas: Canvas) -> tuple[Topic, list[MeasurementItem]]:
    expected, side = prediction.expected, prediction.side
    site = FindingSite(CEREBRAL_HEMISPHERE, laterality=LATERALITY[side])
    anchor = partial(canvas.anchor, [s.label for s in STRUCTURES if s.side is side])
    item = measured(PREDICTED_STEMS, expected.value, NO_UNITS, 2, (expected.low, expected.high))
    return _topic(f"LSA stems, {side.value}, predicted", site, anchor), [item]


def _disease(biomarker: BiomarkerResult, canvas: Canvas) -> tuple[Topic, list[MeasurementItem]]:
    """Give the calibrated probability of every category."""
    names = {
        Code(f"{CATEGORY_PROBABILITY}-{i}", LOCAL_SCHEME, f"Probability of {name}"[:_LONGEST_MEANING]): probability
        for i, (name, probability) in enumerate(biomarker.disease.items(), start=1)
    }
    anchor = partial(canvas.anchor, [s.label for s in STRUCTURES])
    items = [measured(name, p, NO_UNITS, 3) for name, p in names.items()]
    return _topic("Disease categories, predicted", FindingSite(BRAIN), anchor), items


def _topic(title: str, site: FindingSite, place: Callable[[], Outline | Anchor]) -> Topic:
    return Topic(title, site, place)


def _warnings(biomarker: BiomarkerResult) -> list[QualitativeEvaluation]:
    """Say, coded and in full, why the numbers mean nothing clinically."""
    said = [judged(CAVEAT, DEMONSTRATION_MODEL, DEMONSTRATION)] if biomarker.demonstration else []
    return said if biomarker.familiar else [*said, judged(CAVEAT, UNFAMILIAR_HEAD, unfamiliar_text(biomarker))]
