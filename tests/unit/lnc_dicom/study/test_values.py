import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from lnc_dicom.study.values import item, items_of, number, numbers, text, texts


def _header(name, value, vr="DS"):
    header = Dataset()
    tag = Tag(name)
    header._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, is_implicit_VR=False, is_little_endian=True)
    return header


@pytest.mark.parametrize("value", [b"", b"1,00\\1,00 ", b"abc\\1 ", b"NaN\\1 ", b"inf\\1 ", b"1 ", b"1\\2\\3 ", b"\\"])
def test_spacing_that_is_not_two_finite_numbers_is_none(value):
    assert numbers(_header("PixelSpacing", value), "PixelSpacing", 2) == ()


def test_numbers_are_read_whatever_their_vr():
    assert numbers(_header("PixelSpacing", b"1.5\\2 "), "PixelSpacing", 2) == (1.5, 2.0)
    assert numbers(_header("PixelSpacing", b"1.5\\2 ", "LO"), "PixelSpacing") == (1.5, 2.0)
    assert number(_header("InstanceNumber", b"7 ", "IS"), "InstanceNumber") == 7
    assert number(_header("Rows", b"\1", "US"), "Rows") is None


def test_text_is_stripped_and_absent_values_are_none():
    assert text(_header("SeriesDescription", b" T1 \0", "LO"), "SeriesDescription") == "T1"
    assert texts(_header("ImageType", b"A\\B ", "CS"), "ImageType") == ("A", "B")
    assert texts(Dataset(), "ImageType") == ()
    assert text(_header("SeriesDescription", b"", "LO"), "SeriesDescription") == ""


def test_a_sequence_that_is_none_has_no_items():
    holder = Dataset()
    holder.SharedFunctionalGroupsSequence = [Dataset(), Dataset()]
    assert len(items_of(holder, "SharedFunctionalGroupsSequence")) == 2
    assert items_of(_header("SeriesDescription", b"x ", "LO"), "SeriesDescription") == ()
    assert not item(holder, "PerFrameFunctionalGroupsSequence")
