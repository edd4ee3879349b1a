import numpy as np
import pytest

from lnc_dicom.encode.pages.secondary_capture import CaptureSeries, secondary_capture
from lnc_dicom.encode.provenance import Provenance
from tests.factories import NOW

SERIES = CaptureSeries("summary", 9000, "A page (RESEARCH)", "Drawn by a test")


@pytest.fixture
def capture(report):
    page = np.zeros((8, 6, 3), np.uint8)
    page[0, 0] = (1, 2, 3)
    return lambda *instance: secondary_capture(report, Provenance(report, NOW), page, SERIES, *instance)


def test_the_pixels_are_those_of_the_page(capture):
    found = capture()
    assert (found.Rows, found.Columns, found.PhotometricInterpretation) == (8, 6, "RGB")
    assert found.PixelData[:3] == bytes([1, 2, 3])


def test_it_is_derived_holds_no_patient_data_and_says_what_it_is(capture):
    found = capture()
    assert list(found.ImageType) == ["DERIVED", "SECONDARY"]
    assert (found.BurnedInAnnotation, found.DerivationDescription) == ("NO", "Drawn by a test")
    assert found.SeriesDescription == "A page (RESEARCH)"


def test_pages_of_one_series_are_instances_with_uids_of_their_own(capture):
    first, second = capture(), capture(2)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)


def test_patient_and_time_are_those_of_study_and_result(capture, report):
    found = capture()
    assert found.PatientID == report.sources[0].PatientID
    assert {str(found.ContentDate), str(found.DateOfSecondaryCapture)} == {"20260102"}
