from pydicom import Dataset
from pydicom.sr.codedict import codes

from lnc_dicom.validate.content_tree import Violation, children, coded, key, name_of, template_of, walk


def _code(value="121071", scheme="DCM", keyword="CodeValue"):
    code = Dataset()
    setattr(code, keyword, value)
    code.CodingSchemeDesignator = scheme
    return code


def _item(label, *below):
    item = Dataset()
    item.TextValue = label
    if below:
        item.ContentSequence = list(below)
    return item


TREE = _item("root", _item("a", _item("a1"), _item("a2", _item("a21"))), _item("b"))


def test_positions_count_from_1_at_every_level():
    found = {item.TextValue: where for where, item in walk(TREE)}
    assert found == {"a": "1.1", "a1": "1.1.1", "a2": "1.1.2", "a21": "1.1.2.1", "b": "1.2"}


def test_children_are_one_level_only():
    assert [(where, item.TextValue) for where, item in children(TREE, "7")] == [("7.1", "a"), ("7.2", "b")]


def test_items_are_found_below_items_without_a_name():
    """highdicom's own search raises here."""
    assert all(name_of(item) is None for _, item in walk(TREE))


def test_codes_of_every_length_are_read():
    for keyword in ("CodeValue", "LongCodeValue", "URNCodeValue"):
        item = Dataset()
        item.ConceptNameCodeSequence = [_code(keyword=keyword)]
        assert name_of(item) == ("121071", "DCM") == key(codes.DCM.Finding)


def test_a_missing_or_empty_code_is_none():
    item = Dataset()
    assert coded(item, "ConceptCodeSequence") is None
    item.ConceptCodeSequence = [_code(value="")]
    assert coded(item, "ConceptCodeSequence") is None


def test_a_container_without_a_template_names_none():
    container = Dataset()
    assert template_of(container) == ""
    template = Dataset()
    template.TemplateIdentifier = "1411"
    container.ContentTemplateSequence = [template]
    assert template_of(container) == "1411"


def test_a_violation_is_one_line_from_the_rule_to_the_advice():
    assert str(Violation("TID 300", "1.2", "no unit", "Write it.")) == "TID 300: 1.2: no unit → Write it."
