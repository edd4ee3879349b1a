"""Numbers that belong to no segment → TID 1501 groups that viewers of SR can show.

OHIF 3.13 shows the whole report black if one group has no coordinates, and draws five lines per group. So every number
is inferred from coordinates (TID 320), long groups are split, and the first line is a comment that names the topic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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

from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.sr.outline import Anchor, Outline

NUMBERS_PER_GROUP = 4
"""OHIF draws five lines; one of them is the comment."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a group is about: its title, finding site, position on the images, method and algorithm.

    place
        Gives a position on the images, another one at every call.
    """

    title: str
    site: FindingSite
    place: Callable[[], Outline | Anchor]
    method: Code | None = None
    algorithm: AlgorithmIdentification | None = None


def topic_groups(
    topic: Topic,
    provenance: Provenance,
    items: Sequence[MeasurementItem],
    evaluations: Sequence[QualitativeEvaluation] = (),
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give the groups of a topic; from the second on, the tracking identifier ends with a number."""
    chunks = [items[i : i + NUMBERS_PER_GROUP] for i in range(0, len(items), NUMBERS_PER_GROUP)]
    titles = [topic.title, *(f"{topic.title}, {i}" for i in range(2, len(chunks) + 1))]
    return [_group(topic, title, provenance, chunk, evaluations) for title, chunk in zip(titles, chunks, strict=False)]


def _group(
    topic: Topic,
    title: str,
    provenance: Provenance,
    items: Sequence[MeasurementItem],
    evaluations: Sequence[QualitativeEvaluation],
) -> MeasurementsAndQualitativeEvaluations:
    place = topic.place()
    for item in items:
        _infer_from(place, item)
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(UID(provenance.tracking_uid(title)), title),
        finding_sites=[topic.site],
        method=topic.method,
        algorithm_id=topic.algorithm,
        measurements=items,
        qualitative_evaluations=evaluations,
    )
    comment = CodedConcept.from_code(codes.DCM.Comment)
    group[0].ContentSequence.append(TextContentItem(comment, title, RelationshipTypeValues.CONTAINS))
    return group


def _infer_from(place: Outline | Anchor, item: MeasurementItem) -> None:
    """Add the coordinates that a number is inferred from (TID 320); highdicom takes them in the constructor only."""
    parts = item[0].get("ContentSequence") or ContentSequence()
    parts.append(place.coordinates())
    item[0].ContentSequence = parts
