from dataclasses import replace

import pytest

from lnc_dicom.encode.pages.predictions_table import draw_predictions
from lnc_dicom.report import DEMONSTRATION


def test_the_table_is_headed_as_predicted_and_names_what_it_rests_on(report, pen):
    draw_predictions(pen, replace(report.biomarker, age_and_sex_known=True), 12, 100)
    assert pen.written[0] == "Predicted from the T1, age and sex, not measured, with 90 % intervals"


@pytest.mark.parametrize("demonstration", [True, False])
def test_a_demonstration_model_is_named_as_one(report, pen, demonstration):
    draw_predictions(pen, replace(report.biomarker, demonstration=demonstration), 12, 100)
    assert any(DEMONSTRATION in text for text in pen.written) is demonstration


@pytest.mark.parametrize(("distance", "warned"), [(0.9, False), (1.3, True)])
def test_a_head_unlike_the_training_data_is_warned_of(report, pen, distance, warned):
    draw_predictions(pen, replace(report.biomarker, distance=distance, farthest=1.2), 12, 100)
    assert any(text.startswith("Unreliable") for text in pen.written) is warned


@pytest.mark.parametrize(("disease", "shown"), [({"well": 0.7}, True), ({}, False)])
def test_disease_is_drawn_only_where_it_may_be_shown(report, pen, disease, shown):
    draw_predictions(pen, replace(report.biomarker, disease=disease), 12, 100)
    assert ("well, predicted probability: 70 %" in pen.written) is shown


def test_every_number_is_named_as_predicted(report, pen):
    draw_predictions(pen, report.biomarker, 12, 100)
    wanted = {"predicted FA left", "predicted CBF right", "LSA stems, left, predicted: 3.4 (2.0 to 4.8)"}
    assert wanted <= set(pen.written)
    assert not {"FA left", "CBF right"} & set(pen.written)


def test_a_side_that_was_not_predicted_is_a_dash_on_its_own_side(report, pen):
    regions = tuple(r for r in report.biomarker.regions if r.structure.title != "Putamen, left")
    draw_predictions(pen, replace(report.biomarker, regions=regions), 12, 100)
    putamen = next(xy for text, xy in pen.texts if text == "putamen")
    cells = sorted((x, text) for text, (x, y) in pen.texts if y == putamen[1] and text != "putamen")
    assert [text for _, text in cells] == ["-", "0.21 (0.17 to 0.26)", "-", "48 (31 to 64)"]
