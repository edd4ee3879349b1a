from dataclasses import replace

from pydicom import Dataset
from pydicom.sr.codedict import codes

from lnc_dicom.validate.template_rows import TemplateRow, check_children, context_group, row_for

FINDING = row_for(codes.DCM.Finding, "CODE", "CONTAINS", minimum=1)
COMMENT = row_for(codes.DCM.Comment, "TEXT", "CONTAINS", maximum=None)
OPEN = TemplateRow("number", "NUM", "CONTAINS", maximum=None)


def _code(code):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def _item(name, value_type, relationship="CONTAINS", **value):
    item = Dataset()
    item.ConceptNameCodeSequence = [_code(name)]
    item.ValueType, item.RelationshipType = value_type, relationship
    for keyword, content in value.items():
        setattr(item, keyword, content)
    return item


def _finding(code=codes.SCT.Neoplasm, **kwargs):
    return _item(codes.DCM.Finding, "CODE", ConceptCodeSequence=[_code(code)], **kwargs)


def _comment(text="x", **kwargs):
    return _item(codes.DCM.Comment, "TEXT", TextValue=text, **kwargs)


def _violations(items, rows):
    parent = Dataset()
    parent.ContentSequence = items
    return [(v.where, v.what) for v in check_children(parent, rows, "TID 1", "1")]


def test_items_that_keep_their_rows_are_accepted():
    assert _violations([_finding(), _comment(), _comment()], (FINDING, COMMENT)) == []


def test_a_mandatory_item_that_is_missing_is_found_at_its_parent():
    assert _violations([_comment()], (FINDING, COMMENT)) == [("1", "Finding is missing")]


def test_an_item_too_many_is_found():
    assert _violations([_finding(), _finding()], (FINDING,)) == [("1", "Finding occurs 2 times, at most 1")]


def test_a_wrong_value_type_is_the_only_violation_of_its_item():
    wrong = _item(codes.DCM.Finding, "TEXT", "HAS PROPERTIES")
    assert _violations([wrong], (FINDING,)) == [("1.1", "Finding is TEXT, not CODE")]


def test_a_wrong_relationship_is_found():
    (found,) = _violations([_comment(relationship="HAS PROPERTIES")], (COMMENT,))
    assert found == ("1.1", "Comment has the relationship HAS PROPERTIES, not CONTAINS")


def test_an_item_without_a_value_is_found():
    assert _violations([_comment(text="")], (COMMENT,)) == [("1.1", "Comment has no value")]


def test_a_code_outside_of_its_context_group_is_found():
    row = replace(FINDING, values=context_group(244), values_name="CID 244")
    assert _violations([_finding(codes.SCT.Left)], (row,)) == []
    assert _violations([_finding()], (row,)) == [("1.1", "the code of Finding is not in CID 244")]


def test_an_open_row_takes_any_name_of_its_value_type_and_relationship():
    number = _item(codes.SCT.Volume, "NUM", MeasuredValueSequence=[Dataset()])
    assert _violations([number], (OPEN,)) == []
    number.RelationshipType = "HAS PROPERTIES"
    assert _violations([number], (OPEN,)) == [("1.1", "no row for NUM with the relationship HAS PROPERTIES")]


def test_a_concept_with_two_value_types_has_a_row_for_each():
    text = replace(row_for(codes.DCM.Finding, "TEXT", "CONTAINS"))
    assert _violations([_finding()], (text, FINDING)) == []


def test_rows_of_children_are_checked_below():
    row = replace(COMMENT, children=(FINDING,))
    empty = _comment()
    assert _violations([empty], (row,)) == [("1.1", "Finding is missing")]
    empty.ContentSequence = [_finding()]
    assert _violations([empty], (row,)) == []
