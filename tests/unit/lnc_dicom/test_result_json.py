import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode import EncodedObject
from lnc_dicom.errors import NoT1
from lnc_dicom.measure.gates import CONTRAST_TO_NOISE, MIRROR
from lnc_dicom.outputs import Output
from lnc_dicom.pipeline import analyse
from lnc_dicom.quantities import Quantity
from lnc_dicom.report import STRUCTURE_FAILED
from lnc_dicom.result_json import features_npz, rejection_json, result_json, side_files
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from lnc_dicom.types import Caveat, Change, Prior, Statistic, VolumeChange
from tests.factories import NOW, BoxSegmenter, write_series
from tests.unit.lnc_dicom.encode.oracle import Oracle


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_series(folder)
    return analyse(read_study([folder]), Tools(BoxSegmenter(), NOW, predictor=Oracle()))


def _result(report, objects=(), timings_s=None):
    return json.loads(result_json(report, objects, timings_s or {}))


def _with(report, **kwargs):
    return replace(report, measurements=(replace(report.measurements[0], **kwargs), *report.measurements[1:]))


def test_a_structure_has_its_volume_in_ml_with_the_interval_and_its_means(report):
    statistics = {Quantity.FA: Statistic(0.41239, 0.1, 0.4, 20)}
    region = _result(_with(report, volume_ml=3.14159, interval_ml=(2.9, 3.4), statistics=statistics))["regions"][0]
    assert (region["name"], region["side"], region["label"]) == ("caudate", "left", 1)
    assert (region["volume_ml"], region["volume_interval_ml"]) == (3.1416, [2.9, 3.4])
    assert region["fa"] == {"mean": 0.4124, "sd": 0.1, "median": 0.4, "n": 20}
    assert "cbf" not in region


def test_a_structure_that_failed_has_its_reason_and_no_number(report):
    region = _result(_with(report, checks=(MIRROR.check(0.1),)))["regions"][0]
    assert region["quality"].startswith(MIRROR.code)
    assert [region[key] for key in ("voxels", "volume_ml", "volume_interval_ml")] == [None, None, None]


def test_numbers_that_json_does_not_have_are_null(report):
    result = _result(replace(report, checks=(CONTRAST_TO_NOISE.check(math.nan),)))
    (check,) = result["checks"]
    assert (check["value"], check["low"], check["high"], check["passed"]) == (None, 1.0, None, False)


def test_a_change_has_the_days_between_and_no_date(report):
    prior = Prior("1.1", "1.2", "1.3", NOW, date(2025, 3, 4), frozenset(), ("boxes", "1"), {})
    change = Change(prior, 304, (VolumeChange(STRUCTURES[0], -120.04, -3.26),))
    found = _result(replace(report, change=change))["change"]
    assert found["since"] == {"study": "1.1", "sop_instance_uid": "1.3", "days": 304}
    assert found["regions"] == [{"name": "caudate", "side": "left", "volume_mm3": -120.0, "volume_percent": -3.3}]
    assert _result(report)["change"] is None


def test_predictions_have_their_intervals_and_the_digits_of_their_quantity(report):
    found = _result(report)["biomarker"]
    (region,) = found["regions"]
    assert region["predicted_fa"] == {"value": 0.21, "low": 0.17, "high": 0.26}
    assert region["predicted_cbf"] == {"value": 48.5, "low": 31.0, "high": 64.0}
    assert found["stems"] == [
        {"side": "left", "expected": {"value": 3.4, "low": 2.0, "high": 4.8}, "most_likely": 3, "probability": 0.4}
    ]
    assert (found["disease"], found["disease_withheld"]) == ({}, True)
    assert (found["in_distribution"], found["distance"], found["distance_limit"]) == (True, 0.9, 1.2)


def test_without_a_model_nothing_is_predicted_and_there_are_no_features(report):
    plain = replace(report, biomarker=None)
    assert _result(plain)["biomarker"] is None
    assert side_files(plain, (), NOW, (Output.SEG,)) == {}


def test_features_come_back_by_the_title_of_their_structure(report, tmp_path):
    vector = np.arange(512, dtype=np.float32)
    (tmp_path / "f.npz").write_bytes(features_npz(replace(report.biomarker, features={STRUCTURES[2]: vector})))
    with np.load(tmp_path / "f.npz") as found:
        assert list(found) == ["Putamen, left"]
        np.testing.assert_array_equal(found["Putamen, left"], vector)


def test_objects_caveats_and_timings_are_listed_in_their_order(report):
    objects = [EncodedObject(f"{n}.dcm", "SEG", f"1.{n}", "2", b"") for n in (2, 1)]
    caveats = (Caveat("LNC-401", "file x.dcm"), Caveat(STRUCTURE_FAILED, "failed", is_our_text=True))
    result = _result(replace(report, caveats=caveats, prediction_caveats=()), objects, {"select": 0.12345})
    assert [o["file"] for o in result["objects"]] == ["2.dcm", "1.dcm"]
    assert result["caveats"] == [{"code": "LNC-401", "text": "file x.dcm"}, {"code": "LNC-402", "text": "failed"}]
    assert result["timings_s"] == {"select": 0.123}


def test_a_rejection_says_why_and_what_to_do():
    found = json.loads(rejection_json(NoT1("no T1"), (Caveat("LNC-401", "x"),)))
    assert found["rejected"] == {"code": "LNC-103", "what": "no T1", "do": NoT1.do}
    assert found["caveats"] == [{"code": "LNC-401", "text": "x"}]
    assert "regions" not in found
