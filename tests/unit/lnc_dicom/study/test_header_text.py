import pytest
from pydicom import Dataset

from lnc_dicom.study.header_text import plain_text, values_of, words_of


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
