"""Numbers that belong to no segment → TID 1501 groups that viewers of SR can show.

In OHIF 3.13 one group without coordinates turns the whole report black, and of a group five lines are drawn. Hence
every number is inferred from coordinates (TID 320), long groups are split, and the first line, a comment, says what it
is about.
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

from lnc_dicom.encode.provenance import Origin
from lnc_dicom.encode.sr.outline import Anchor, Outline

NUMBERS_PER_GROUP = 4
"""Five lines are drawn; one of them is the comment."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a group is about: its title, where in the body, where on the images, and how its numbers were made.

    place
        Finds a place on the images, another one for every group.
    """

    title: str
    site: FindingSite
    place: Callable[[], Outline | Anchor]
    method: Code | None = None
    algorithm: AlgorithmIdentification | None = None


def topic_groups(
    topic: Topic,
    origin: Origin,
    items: Sequence[MeasurementItem],
    evaluations: Sequence[QualitativeEvaluation] = (),
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give the groups of a topic; the tracking identifier of all but the first ends with a number."""
    parts = [items[i : i + NUMBERS_PER_GROUP] for i in range(0, len(items), NUMBERS_PER_GROUP)]
    titles = [topic.title, *(f"{topic.title}, {i}" for i in range(2, len(parts) + 1))]
    return [_group(topic, title, origin, part, evaluations) for title, part in zip(titles, parts, strict=False)]


def _group(
    topic: Topic,
    title: str,
    origin: Origin,
    items: Sequence[MeasurementItem],
    evaluations: Sequence[QualitativeEvaluation],
) -> MeasurementsAndQualitativeEvaluations:
    place = topic.place()
    for item in items:
        _infer_from(place, item)
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(UID(origin.tracking_uid(title)), title),
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
    """Let a number be inferred from coordinates (TID 320); highdicom takes them only when the item is made."""
    parts = item[0].get("ContentSequence") or ContentSequence()
    parts.append(place.coordinates())
    item[0].ContentSequence = parts
