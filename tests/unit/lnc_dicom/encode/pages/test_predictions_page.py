from dataclasses import replace

import pytest

from lnc_dicom.encode import encode
from lnc_dicom.encode.pages import predictions_page as module
from lnc_dicom.encode.pages.predictions_page import draw_predictions_page, predictions_page
from lnc_dicom.encode.provenance import Provenance
from tests.factories import NOW


def test_it_is_a_series_of_its_own_that_says_what_it_is(everything):
    found = everything.datasets["predictions-page.dcm"]
    assert (found.Rows, found.Columns, found.PhotometricInterpretation) == (1024, 1024, "RGB")
    assert found.SeriesDescription == "DEMONSTRATION: predicted values, page (RESEARCH)"
    assert found.SeriesInstanceUID != everything.datasets["summary.dcm"].SeriesInstanceUID
    assert "not measured" in found.DerivationDescription


@pytest.mark.parametrize("demonstration", [True, False])
def test_its_title_says_whether_the_model_is_a_demonstration(report, monkeypatch, demonstration):
    titles = []
    new_page = module.new_page
    monkeypatch.setattr(module, "new_page", lambda title, *rest: titles.append(title) or new_page(title, *rest))
    draw_predictions_page(replace(report.biomarker, demonstration=demonstration), report.prediction_caveats, NOW)
    assert titles == ["DEMONSTRATION: predicted values" if demonstration else "predicted values"]


def test_without_predictions_there_is_no_page(report):
    for found in (None, replace(report.biomarker, regions=(), stems=(), disease={})):
        other = replace(report, biomarker=found)
        assert predictions_page(other, Provenance(other, NOW)) == []
        assert "predictions-page.dcm" not in [o.name for o in encode(other, NOW, ("biomarker",))]
