import math

import pydicom
import pytest

from lnc_service.rules.facts import facts_of
from tests.factories import write_series


@pytest.fixture
def files(tmp_path):
    return write_series(tmp_path)[:3]


def _with(path, **values):
    dataset = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(dataset.file_meta if name.endswith("Title") else dataset, name, value)
    dataset.save_as(path)


def test_headers_say_who_sent_a_study_and_what_it_is_of(files):
    _with(files[0], SourceApplicationEntityTitle="MR3T", ReceivingApplicationEntityTitle="LNC", PatientAge="045Y")
    _with(files[0], StudyDescription="Head", SeriesDescription="T1", BodyPartExamined="BRAIN", Modality="MR")
    _with(files[1], SourceApplicationEntityTitle="MR15", SeriesInstanceUID="1.2.9", SeriesDescription="ASL")
    facts = facts_of(files[:2])
    assert (facts.sent_by, facts.called, facts.description, facts.age) == (("MR15", "MR3T"), ("LNC",), "Head", 45)
    assert [(s.description, s.files) for s in facts.series] == [("T1", {files[0].name}), ("ASL", {files[1].name})]
    assert (facts.series[0].modality, facts.series[0].body_part) == ("MR", "BRAIN")


def test_what_cannot_be_read_and_results_of_ours_are_no_part_of_a_study(files, results):
    files[0].write_bytes(b"nothing")
    facts = facts_of([files[0], results / "segmentation.dcm"])
    assert facts.series == ()
    assert math.isnan(facts.age)
