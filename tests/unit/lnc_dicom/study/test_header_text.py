import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from lnc_dicom.study.header_text import plain_text, values_of, words_of
from lnc_dicom.study.values import items_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [("ORIGINAL", ("ORIGINAL",)), (["ORIGINAL", "primary"], ("ORIGINAL", "PRIMARY")), ("", ()), (None, ())],
)
def test_one_value_is_one_value_and_not_its_letters(value, expected):
    header = Dataset()
    header.ImageType = value
    assert values_of(header, "ImageType") == expected
    assert values_of(Dataset(), "ImageType") == ()


def test_texts_lose_case_accents_and_underscores():
    header = Dataset()
    header.SeriesDescription, header.ProtocolName = "TÊTE_T1", "Schädel"
    text = plain_text(header, "SeriesDescription", "ProtocolName")
    assert text == "tete t1 schadel"
    assert words_of(text) == {"tete", "t1", "schadel"}


def test_a_value_that_cannot_be_read_is_absent():
    header, tag = Dataset(), Tag("Rows")
    header._dict[tag] = RawDataElement(tag, "US", 3, b"abc", 0, is_implicit_VR=False, is_little_endian=True)
    assert values_of(header, "Rows") == ()


def test_a_sequence_that_is_none_has_no_items():
    header = Dataset()
    assert items_of(header, "AnatomicRegionSequence") == ()
    header.AnatomicRegionSequence = [Dataset(), Dataset()]
    assert len(items_of(header, "AnatomicRegionSequence")) == 2
    header.SeriesDescription = "T1"
    assert items_of(header, "SeriesDescription") == ()
