import numpy as np
import pytest

from lnc_dicom.encode.pages.pdf import pdf
from lnc_dicom.encode.pages.summary_page import draw_pages
from tests.factories import NOW


def test_it_is_an_unverified_document_without_patient_data_in_the_picture(everything):
    found = everything.datasets["report-pdf.dcm"]
    assert found.SOPClassUID.name == "Encapsulated PDF Storage"
    assert (found.Modality, found.MIMETypeOfEncapsulatedDocument) == ("DOC", "application/pdf")
    assert (found.VerificationFlag, found.BurnedInAnnotation, found.ConversionType) == ("UNVERIFIED", "NO", "WSD")
    assert "RESEARCH" in found.DocumentTitle
    assert b"CANARY" not in found.EncapsulatedDocument


def test_it_holds_the_summary_pages(everything):
    found = everything.datasets["report-pdf.dcm"]
    data = found.EncapsulatedDocument[: found.EncapsulatedDocumentLength]
    assert data == pdf(draw_pages(everything.report, NOW), NOW)
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert data.count(b"/Subtype /Image") == 2
    assert len(found.EncapsulatedDocument) % 2 == 0


def test_it_refers_to_its_source_images(everything):
    found = everything.datasets["report-pdf.dcm"]
    expected = {str(s.SOPInstanceUID) for s in everything.report.sources}
    assert {str(i.ReferencedSOPInstanceUID) for i in found.SourceInstanceSequence} == expected


@pytest.mark.parametrize("count", [1, 2])
def test_the_time_is_the_one_of_the_result(count):
    pages = [np.full((64, 64, 3), 90, np.uint8)] * count
    data = pdf(pages, NOW)
    assert b"20260102030405" in data
    assert data.count(b"/CreationDate") == 1
    assert pdf(pages, NOW) == data
