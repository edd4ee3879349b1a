import numpy as np

from lnc_dicom.encode.pages.summary import summary
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.report import BANNER
from tests.factories import NOW


def test_every_page_is_an_instance_of_one_series_in_order(report):
    pages = [np.full((8, 8, 3), value, np.uint8) for value in (10, 20)]
    first, second = summary(report, Provenance(report, NOW), pages)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert [(i.InstanceNumber, i.PixelData[0]) for i in (first, second)] == [(1, 10), (2, 20)]


def test_the_derivation_names_the_modality_and_that_it_is_research(report):
    (page,) = summary(report, Provenance(report, NOW), [np.zeros((8, 8, 3), np.uint8)])
    assert page.DerivationDescription == f"Automatic segmentation of MR images. {BANNER}"
