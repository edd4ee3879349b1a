import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.codes import CUBIC_MILLIMETRE, VOLUME
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.sr.groups import NUMBERS_PER_GROUP, Topic, topic_groups
from lnc_dicom.encode.sr.items import number_item, site_of
from lnc_dicom.encode.sr.outline import Placement
from tests.factories import NOW


@pytest.fixture
def groups(report):
    placement = Placement(report.labels, report.sources)
    topic = Topic("Topic", site_of(STRUCTURES[2]), lambda: placement.place(3))

    def encoded(count):
        items = [number_item(VOLUME, float(i), CUBIC_MILLIMETRE, 1) for i in range(count)]
        return topic_groups(topic, Provenance(report, NOW), items)

    return encoded


def _numbers(group):
    return [item for item in group[0].ContentSequence if item.ValueType == "NUM"]


def _coordinates(number):
    (found,) = (c for c in number.ContentSequence if c.ValueType == "SCOORD")
    return found


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (9, [4, 4, 1])])
def test_no_group_has_more_numbers_than_viewers_draw_and_none_is_lost(groups, count, sizes):
    found = groups(count)
    assert [len(_numbers(g)) for g in found] == sizes
    values = [n.MeasuredValueSequence[0].NumericValue for g in found for n in _numbers(g)]
    assert [float(v) for v in values] == list(range(count))
    assert max(sizes, default=0) <= NUMBERS_PER_GROUP


def test_groups_of_one_topic_differ_in_tracking_and_say_their_title(groups):
    found = groups(9)
    assert [g.tracking_identifier for g in found] == ["Topic", "Topic, 2", "Topic, 3"]
    assert len({g.tracking_uid for g in found}) == 3
    for group in found:
        (comment,) = (i for i in group[0].ContentSequence if i.ValueType == "TEXT" and i.name.value == "121106")
        assert comment.TextValue == group.tracking_identifier


def test_all_numbers_of_a_group_are_inferred_from_one_position_and_groups_from_different_ones(groups):
    images = []
    for group in groups(9):
        found = {
            _coordinates(n).ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            for n in _numbers(group)
        }
        assert len(found) == 1
        assert all(_coordinates(n).RelationshipType == "INFERRED FROM" for n in _numbers(group))
        images += found
    assert len(set(images)) == 3
