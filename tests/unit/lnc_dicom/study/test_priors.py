"""Earlier results of ours: known again, named, compared, and never an endless chain."""

import copy
import dataclasses
import io
import json
from datetime import UTC, date, datetime

import highdicom as hd
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.options import MapsOptions, Options
from lnc_dicom.pipeline import process
from lnc_dicom.predictions import Model
from lnc_dicom.result_json import result_json
from lnc_dicom.study.priors import change_since, prior_of
from lnc_dicom.study.read import read_study, with_results
from lnc_dicom.tools import Tools
from lnc_dicom.types import Prior
from tests.factories import MODEL, NOW, BoxSegmenter, write_series

LATER = NOW.replace(year=2027)
OTHER = Model(MODEL.name, "2", "1" * 64)


def _result(study, now=NOW, model=MODEL, options=None):
    segmenter = BoxSegmenter()
    segmenter.model = model
    return process(study, Tools(segmenter, now, options=options or Options()))


def _sr(objects):
    return pydicom.dcmread(io.BytesIO(objects[1].data))


@pytest.fixture
def folder(tmp_path):
    write_series(tmp_path / "study")
    return tmp_path / "study"


def _keep(objects, folder, name="sr.dcm"):
    (folder / name).write_bytes(objects[1].data)


def _bytes(objects):
    return [o.data for o in objects]


def test_with_its_old_result_a_study_gives_the_same_bytes_again_at_any_time(folder):
    _, first = _result(read_study([folder]))
    for item in first:
        (folder / item.name).write_bytes(item.data)
    _, again = _result(read_study([folder]), LATER)
    assert _bytes(again) == _bytes(first)


def test_another_model_gives_new_uids_and_names_the_old_report(folder):
    _, old = _result(read_study([folder]))
    _keep(old, folder)
    _, new = _result(read_study([folder]), LATER, OTHER)
    assert not {o.sop_instance_uid for o in new} & {o.sop_instance_uid for o in old}
    assert not {o.series_instance_uid for o in new} & {o.series_instance_uid for o in old}
    (study,) = _sr(new).PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old[1].sop_instance_uid
    assert series.SeriesInstanceUID == old[1].series_instance_uid


def test_other_settings_give_another_result(folder):
    _, old = _result(read_study([folder]))
    _keep(old, folder)
    _, new = _result(read_study([folder]), LATER, options=Options(maps=MapsOptions(inside_share=0.8)))
    assert not {o.series_instance_uid for o in new} & {o.series_instance_uid for o in old}
    assert "PredecessorDocumentsSequence" in _sr(new)


def test_a_report_that_came_back_as_comprehensive_sr_is_named_with_that_class(folder):
    _, objects = _result(read_study([folder]))
    (folder / "sr.dcm").write_bytes(_as_comprehensive_sr(_sr(objects)))
    report, again = _result(read_study([folder]), LATER, OTHER)
    (prior,) = report.study.priors
    (named,) = _sr(again).PredecessorDocumentsSequence
    (item,) = named.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (ComprehensiveSRStorage, prior.uid)


def _as_comprehensive_sr(document):
    document.SOPClassUID = document.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    written = io.BytesIO()
    document.save_as(written)
    return written.getvalue()


def test_results_that_come_back_from_the_pacs_do_not_cause_new_ones(folder):
    _, old = _result(read_study([folder]))
    _keep(old, folder, "old.dcm")
    _, new = _result(read_study([folder]), LATER, OTHER)
    _keep(new, folder, "new.dcm")
    _, again = _result(read_study([folder]), LATER.replace(month=7), OTHER)
    assert _bytes(again) == _bytes(new)


def test_a_report_of_other_images_of_the_study_is_not_replaced(folder, tmp_path):
    study = pydicom.dcmread(next(folder.glob("*.dcm"))).StudyInstanceUID
    write_series(tmp_path / "other", study_uid=study)
    _, old = _result(read_study([tmp_path / "other"]))
    _keep(old, folder)
    assert "PredecessorDocumentsSequence" not in _sr(_result(read_study([folder]), LATER)[1])


def test_a_report_of_a_part_of_the_images_is_replaced_and_named(folder, tmp_path):
    parts = sorted(folder.glob("*.dcm"))
    _, half = _result(read_study(parts[:-1]))
    _keep(half, folder)
    (study,) = _sr(_result(read_study([folder]), LATER)[1]).PredecessorDocumentsSequence
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert named == half[1].sop_instance_uid


def test_another_version_of_the_same_uids_gives_new_uids_and_names_the_old_report(folder):
    _, old = _result(read_study([folder]))
    _keep(old, folder)
    _, new = _result(dataclasses.replace(read_study([folder]), version="2"), LATER)
    assert not {o.sop_instance_uid for o in new} & {o.sop_instance_uid for o in old}
    assert "PredecessorDocumentsSequence" in _sr(new)


def _earlier(folder, tmp_path, days_ago="20250102", patient="DEMO^SAMPLE HEAD", model=MODEL):
    def date(dataset):
        dataset.StudyDate = days_ago

    class Smaller(BoxSegmenter):
        def __call__(self, volume):
            found = super().__call__(volume)
            labels = found.labels.array.copy()
            labels[tuple(next(iter(zip(*(labels == 1).nonzero(), strict=True))))] = 0
            return dataclasses.replace(found, labels=found.labels.with_array(labels))

    write_series(tmp_path / "earlier", change=date, patient=patient)
    segmenter = Smaller()
    segmenter.model = model
    _, objects = process(read_study([tmp_path / "earlier"]), Tools(segmenter, NOW.replace(year=2025)))
    for item in objects:
        (folder / f"prior-{item.name}").write_bytes(item.data)
    return objects


def test_an_earlier_study_of_the_patient_gives_the_change_since_then(folder, tmp_path):
    prior = _earlier(folder, tmp_path)
    report, objects = _result(read_study([folder]))
    voxel = report.volume.voxel_volume
    before = report.measurements[0].volume_ml * 1000 - voxel
    by_structure = {v.structure: v for v in report.change.volumes}
    assert by_structure[STRUCTURES[0]].mm3 == pytest.approx(voxel, abs=0.06)
    assert by_structure[STRUCTURES[0]].percent == pytest.approx(100 * voxel / before, abs=0.06)
    assert by_structure[STRUCTURES[1]].mm3 == pytest.approx(0, abs=0.06)
    assert report.change.days == 365
    text = result_json(report, objects, {})
    assert json.loads(text)["change"]["since"]["sop_instance_uid"] == prior[1].sop_instance_uid
    assert json.loads(text)["change"]["regions"][0]["volume_mm3"] == pytest.approx(voxel, abs=0.06)
    assert "20250102" not in text
    assert "2025" not in repr(report.change)


def test_the_sr_carries_the_change_with_the_date_of_the_earlier_study(folder, tmp_path):
    _earlier(folder, tmp_path)
    _, objects = _result(read_study([folder]))
    content = hd.sr.srread(io.BytesIO(objects[1].data)).content
    found = []
    for group in content.get_image_measurement_groups():
        found += [m for m in group.get_measurements() if m.name.value.startswith("CHANGE")]
    assert len(found) == 2 * len(STRUCTURES)
    assert {m.unit.value for m in found} == {"mm3", "%"}
    assert all(str(m[0].ContentSequence[0].Date) == "20250102" for m in found)


@pytest.mark.parametrize("other", [{"patient": "OTHER^PATIENT"}, {"days_ago": "20260102"}, {"days_ago": ""}])
def test_another_patient_the_same_day_or_no_date_gives_no_change(folder, tmp_path, other):
    _earlier(folder, tmp_path, **other)
    report, _ = _result(read_study([folder]))
    assert report.change is None


def test_numbers_of_another_model_are_not_compared_and_a_caveat_says_so(folder, tmp_path):
    _earlier(folder, tmp_path, model=OTHER)
    report, _ = _result(read_study([folder]))
    assert report.change.volumes == ()
    assert "LNC-423" in {c.code for c in report.caveats}


def test_only_results_of_the_same_study_are_added(folder, tmp_path):
    earlier = prior_of(_sr(_earlier(tmp_path, tmp_path)))
    same = prior_of(_sr(_result(read_study([folder]))[1]))
    assert with_results(read_study([folder]), [earlier, same]).priors == (same,)


def test_documents_of_others_and_incomplete_ones_are_not_priors(folder):
    document = _sr(_result(read_study([folder]))[1])
    for name, value in (("Manufacturer", "another"), ("ContentTemplateSequence", []), ("ContentDate", "")):
        broken = copy.deepcopy(document)
        setattr(broken, name, value)
        assert prior_of(broken) is None
    assert prior_of(document) is not None


def test_the_time_of_a_report_is_read_in_its_own_time_zone(folder):
    document = _sr(_result(read_study([folder]))[1])
    document.ContentDate, document.ContentTime = "20260102", "040000"
    for offset, day, hour, minute in (("+0530", 1, 22, 30), ("-0330", 2, 7, 30), ("", 2, 4, 0)):
        document.TimezoneOffsetFromUTC = offset
        assert prior_of(document).made == datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def test_a_change_in_percent_is_relative_to_the_earlier_volume():
    caudate = STRUCTURES[0]
    prior = Prior("1.2", "1.3", "1.4", NOW, date(2025, 1, 2), frozenset(), ("boxes", "1"), {"2.25.1": 2000.0})
    header = Dataset()
    header.StudyInstanceUID, header.StudyDate = "1.9", "20260102"
    change = change_since([prior], header, ("boxes", "1"), {caudate: 3000.0}, {caudate: "2.25.1"})
    assert [(v.structure, v.mm3, v.percent) for v in change.volumes] == [(caudate, 1000.0, 50.0)]
    assert change.days == 365
