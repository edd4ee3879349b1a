"""Change since an earlier study → TID 1501 groups, one per structure, each with the date of the earlier study."""

from __future__ import annotations

from datetime import date
from functools import partial

from highdicom.sr import (
    CodedConcept,
    ContentSequence,
    DateContentItem,
    MeasurementsAndQualitativeEvaluations,
    RelationshipTypeValues,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom.sr.coding import Code

from lnc_dicom.codes import (
    CHANGE_OF_VOLUME,
    CUBIC_MILLIMETRE,
    DIFFERENCE_FROM_PRIOR,
    PERCENT,
    RELATIVE_CHANGE_OF_VOLUME,
    STUDY_DATE,
)
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.sr.groups import Topic, topic_groups
from lnc_dicom.encode.sr.items import number_item, site_of
from lnc_dicom.encode.sr.outline import Placement
from lnc_dicom.types import Change, VolumeChange


def change_groups(
    change: Change | None, provenance: Provenance, placement: Placement
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give a group for every structure that the same model measured in both studies."""
    if change is None or change.since.study_date is None:
        return []
    day = change.since.study_date
    return [group for volume in change.volumes for group in _groups(volume, day, provenance, placement)]


def _groups(
    change: VolumeChange, day: date, provenance: Provenance, placement: Placement
) -> list[MeasurementsAndQualitativeEvaluations]:
    structure = change.structure
    place = partial(placement.place, structure.label)
    topic = Topic(f"{structure.title}, change", site_of(structure), place, DIFFERENCE_FROM_PRIOR)
    numbers = (
        (CHANGE_OF_VOLUME, change.mm3, CUBIC_MILLIMETRE),
        (RELATIVE_CHANGE_OF_VOLUME, change.percent, PERCENT),
    )
    return topic_groups(topic, provenance, [_dated(name, value, unit, day) for name, value, unit in numbers])


def _dated(name: Code, value: float, unit: Code, day: date) -> MeasurementItem:
    """Encode a number with the date of the earlier study."""
    item = number_item(name, value, unit, 1)
    since = DateContentItem(CodedConcept.from_code(STUDY_DATE), day, RelationshipTypeValues.HAS_PROPERTIES)
    item[0].ContentSequence = ContentSequence([since])
    return item
