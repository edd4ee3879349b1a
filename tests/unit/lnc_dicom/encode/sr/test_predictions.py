import io
import subprocess
from datetime import UTC, datetime

import pydicom
import pytest
from highdicom.sr import Comprehensive3DSR

from lnc_dicom.options import BiomarkerOptions, Options
from lnc_dicom.pipeline import process
from lnc_dicom.report import DEMONSTRATION
from lnc_dicom.study.priors import prior_of
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from lnc_dicom.validate.objects import check_object
from tests.factories import NOW, BoxSegmenter, write_series
from tests.unit.lnc_dicom.encode.oracle import Oracle


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_series(folder)
    return folder


def _process(folder, predictor, **chosen):
    tools = Tools(BoxSegmenter(), NOW, options=Options(biomarker=BiomarkerOptions(**chosen)), predictor=predictor)
    return process(read_study([folder]), tools)


def _document(objects, name="predictions.dcm"):
    (found,) = [pydicom.dcmread(io.BytesIO(o.data)) for o in objects if o.name == name]
    return found


def _numbers(objects, name="predictions.dcm"):
    document = Comprehensive3DSR.from_dataset(_document(objects, name))
    found, texts = {}, []

    def walk(item):
        for child in item.get("ContentSequence", ()):
            if child.ValueType == "TEXT":
                texts.append(child.TextValue)
            if child.ValueType == "NUM":
                value = child.MeasuredValueSequence[0]
                entry = (float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue, child)
                found.setdefault(child.ConceptNameCodeSequence[0].CodeValue, []).append(entry)
            walk(child)

    walk(document)
    return found, texts


def test_predictions_have_names_of_their_own_units_and_intervals(folder):
    numbers, _ = _numbers(_process(folder, Oracle())[1])
    for code, value, unit, up, down in (
        ("PRED-FA", 0.21, "1", 0.05, 0.04),
        ("PRED-CBF", 48.5, "ml/[100]g/min", 15.5, 17.5),
        ("PRED-STEMS", 3.4, "1", 1.4, 1.4),
    ):
        ((found, found_unit, item),) = numbers[code]
        assert (found, found_unit) == (value, unit)
        ranges = {
            c.ConceptNameCodeSequence[0].CodeValue: c.MeasuredValueSequence[0]
            for c in item.ContentSequence
            if c.ValueType == "NUM"
        }
        assert float(ranges["371886008"].NumericValue) == pytest.approx(up)
        assert float(ranges["371885007"].NumericValue) == pytest.approx(down)
        assert all(r.MeasurementUnitsCodeSequence[0].CodeValue == unit for r in ranges.values())
    assert "110808" not in numbers  # nothing was measured, so nothing is called FA


@pytest.mark.parametrize("demonstration", [True, False])
def test_title_and_series_say_that_it_is_predicted_and_of_whom(folder, demonstration):
    _, objects = _process(folder, Oracle(demonstration=demonstration))
    document, measured = _document(objects), _document(objects, "measurements.dcm")
    title = document.ConceptNameCodeSequence[0].CodeMeaning
    assert "predicted" in title
    assert "predicted, not measured" in document.SeriesDescription
    assert ("DEMONSTRATION" in title) is ("DEMONSTRATION" in document.SeriesDescription) is demonstration
    assert document.SeriesInstanceUID != measured.SeriesInstanceUID
    assert prior_of(document) is None
    assert prior_of(measured) is not None


def test_nothing_that_was_predicted_is_in_the_report_of_measurements(folder):
    _, objects = _process(folder, Oracle(demonstration=False))
    numbers, texts = _numbers(objects, "measurements.dcm")
    assert not [code for code in numbers if code.startswith("PRED-")]
    assert not [text for text in texts if "predict" in text]


def test_where_nothing_could_be_predicted_there_is_no_report_of_it(folder):
    _, objects = _process(folder, Oracle(structures=(), sides=()))
    assert "predictions.dcm" not in {o.name for o in objects}


def test_a_demonstration_model_is_named_as_one_wherever_its_numbers_are(folder):
    report, objects = _process(folder, Oracle())
    assert "LNC-408" in {c.code for c in report.prediction_caveats}
    _, text = _numbers(objects)
    assert DEMONSTRATION in text


@pytest.mark.slow
def test_a_head_unlike_the_training_data_is_warned_of(folder):
    for distance, warned in ((0.9, False), (3.4, True)):
        report, objects = _process(folder, Oracle(distance=distance))
        assert ("LNC-421" in {c.code for c in report.prediction_caveats}) is warned
        assert any("distance 3.4 SD, at most 1.2" in t for t in _numbers(objects)[1]) is warned


@pytest.mark.slow
def test_disease_of_a_demonstration_model_is_written_only_on_request(folder):
    assert "PRED-CATEGORY-1" not in _numbers(_process(folder, Oracle())[1])[0]
    numbers, _ = _numbers(_process(folder, Oracle(), demonstration_disease=True)[1])
    assert [numbers[f"PRED-CATEGORY-{i}"][0][0] for i in (1, 2)] == [0.7, 0.3]


@pytest.mark.slow
def test_the_disease_of_a_model_of_the_site_is_written_without_a_request(folder):
    numbers, text = _numbers(_process(folder, Oracle(demonstration=False))[1])
    assert "PRED-CATEGORY-2" in numbers
    assert DEMONSTRATION not in text


@pytest.mark.slow
def test_another_model_gives_other_objects(folder):
    one, other = (_process(folder, Oracle(digest=d * 64))[1] for d in "ab")
    assert not {o.sop_instance_uid for o in one} & {o.sop_instance_uid for o in other}


@pytest.mark.slow
def test_a_report_with_predictions_passes_the_validator(folder, tmp_path, program):
    _, objects = _process(folder, Oracle(), demonstration_disease=True)
    for item in objects:
        (tmp_path / item.name).write_bytes(item.data)
        found = subprocess.run([program("dciodvfy"), tmp_path / item.name], capture_output=True, text=True, check=False)
        assert "Error" not in found.stdout + found.stderr, item.name
    assert check_object(_document(objects)) == []


@pytest.mark.slow
def test_the_same_study_and_model_give_the_same_bytes(folder):
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == NOW
    one, other = (_process(folder, Oracle())[1] for _ in range(2))
    assert [o.data for o in one] == [o.data for o in other]


def _methods(objects):
    """Codes of ours among the methods of the SR."""
    found = set()

    def walk(item):
        for child in item.get("ContentSequence", ()):
            if child.ValueType == "CODE" and child.ConceptNameCodeSequence[0].CodeValue == "370129005":
                found.add(child.ConceptCodeSequence[0].CodeValue)
            walk(child)

    walk(_document(objects))
    return {code for code in found if code.startswith("PRED-")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("age", "sex", "wanted", "method", "caveat"),
    [
        ("057Y", "F", True, "PRED-T1-AS", False),
        ("", "F", True, "PRED-T1", True),
        ("057Y", "O", True, "PRED-T1", True),
        ("057Y", "F", False, "PRED-T1", False),
    ],
)
def test_the_method_says_whether_age_and_sex_were_known(tmp_path, age, sex, wanted, method, caveat):
    def change(dataset):
        dataset.PatientAge, dataset.PatientSex, dataset.PatientBirthDate = age, sex, ""

    write_series(tmp_path, change=change)
    report, objects = _process(tmp_path, Oracle(), age_and_sex=wanted)
    assert _methods(objects) == {method}
    assert ("LNC-424" in {c.code for c in report.prediction_caveats}) is caveat
    assert all("57" not in c.text for c in report.prediction_caveats)
