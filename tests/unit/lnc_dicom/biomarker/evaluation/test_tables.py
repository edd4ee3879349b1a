import math
from dataclasses import replace

import pytest

from lnc_dicom.biomarker.evaluation.bootstrap import Estimate
from lnc_dicom.biomarker.evaluation.design import Method
from lnc_dicom.biomarker.evaluation.tables import method_name, paper_table, percent, tables_of


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.5, 0.412, 0.6), "50.0 [41.2, 60.0]"),
        (Estimate(0.1234), "12.3"),
        (Estimate(math.nan), "-"),
    ],
)
def test_estimates_are_written_in_percent(estimate, text):
    assert percent(estimate) == text


def test_a_method_is_named_with_the_covariates_of_the_cohort(effect):
    known = replace(effect, covariates=("age", "sex", "head size"))
    assert method_name(Method.VOLUMES, known) == "volumetry + age + sex + head size"


def test_the_table_of_the_paper_has_relative_error_for_maps_and_accuracy_for_tasks(effect):
    rows = {row[0]: row for row in paper_table(effect).rows}
    assert rows["FA putamen"][1] == "RMSE/mean (%)"
    assert rows["disease"][1] == "accuracy (%)"
    disease = next(t for t in effect.targets if t.name == "disease")
    assert rows["disease"][2:] == tuple(percent(disease.scores[m]["accuracy"]) for m in disease.scores)


def test_tables_without_rows_are_left_out(effect):
    titles = [t.title for t in tables_of(effect)]
    assert len(titles) == 10
    without = tables_of(replace(effect, sides=(), sites=()))
    assert [t for t in titles if t not in {w.title for w in without}] == ["By scanner", "Left and right"]


def test_an_evaluation_with_retrained_networks_says_that_they_were_not_retrained_on_shuffled_labels(effect):
    for frozen in (True, False):
        table = next(t for t in tables_of(replace(effect, frozen=frozen)) if t.title == "Shuffled labels")
        assert ("not retrained" in table.meaning) is not frozen
