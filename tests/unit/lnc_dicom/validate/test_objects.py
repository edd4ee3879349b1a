import copy

import pytest

from lnc_dicom.validate import check_object, check_references
from tests.broken_objects import BROKEN_SEG, BROKEN_SR, written


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return written(tmp_path_factory.mktemp("study"))


def _check(broken, objects):
    return [str(v) for v in (*check_object(broken), *check_references(broken, list(objects.values())))]


def test_what_we_write_breaks_no_rule(objects):
    assert [v for dataset in objects.values() for v in _check(dataset, objects)] == []


@pytest.mark.parametrize(
    ("file", "breaks", "message"),
    [
        (file, b, s)
        for file, cases in (("segmentation", BROKEN_SEG), ("measurements", BROKEN_SR))
        for b, s, _ in cases
        if s
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_a_broken_object_is_caught(objects, file, breaks, message):
    broken = copy.deepcopy(objects[f"{file}.dcm"])
    breaks(broken)
    assert any(message in violation for violation in _check(broken, objects))


def test_no_text_of_a_file_gets_into_a_violation(objects):
    broken = copy.deepcopy(objects["measurements.dcm"])

    def replace_texts(item):
        for child in item.get("ContentSequence", ()):
            child.RelationshipType = child.ValueType = "CANARY"
            for code in (*child.get("ConceptNameCodeSequence", ()), *child.get("ConceptCodeSequence", ())):
                code.CodeMeaning = code.CodeValue = "CANARY"
            replace_texts(child)

    replace_texts(broken)
    found = _check(broken, objects)
    assert found
    assert "CANARY" not in "".join(found)


def test_reports_with_another_title_are_not_checked(objects):
    other = copy.deepcopy(objects["measurements.dcm"])
    other.ConceptNameCodeSequence[0].CodeValue = "18748-4"
    other.ConceptNameCodeSequence[0].CodingSchemeDesignator = "LN"
    del other.ContentTemplateSequence
    assert _check(other, objects) == []


def test_numbers_of_a_label_map_are_its_pixel_values_and_need_only_differ(objects):
    labels = copy.deepcopy(objects["segmentation.dcm"])
    labels.SOPClassUID, labels.SegmentationType = "1.2.840.10008.5.1.4.1.1.66.7", "LABELMAP"
    background = copy.deepcopy(labels.SegmentSequence[0])
    background.SegmentNumber = 0
    labels.SegmentSequence.append(background)
    assert _check(labels, objects) == []
    background.SegmentNumber = 3
    assert any("twice" in violation for violation in _check(labels, objects))
