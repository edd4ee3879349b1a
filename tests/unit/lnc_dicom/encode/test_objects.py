"""What every object of a result has in common, on a series of every layout."""

import pydicom
import pytest

from lnc_dicom.pipeline import process
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from tests.factories import NOW, BoxSegmenter, head, write_series


def result(folder, now=NOW, **kwargs):
    """Objects of a small study, by file name."""
    write_series(folder, *_small(), **kwargs)
    return again(folder, now)


def again(folder, now=NOW):
    _, objects = process(read_study([folder]), Tools(BoxSegmenter(), now))
    return {o.name: o for o in objects}


def _small():
    return head((80, 72, 90), (1.9, 1.9, 1.9))


def _read(item):
    import io

    return pydicom.dcmread(io.BytesIO(item.data))


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder, result(folder, patient="CANARY^BIRD")


@pytest.mark.slow
def test_the_same_study_and_time_give_the_same_bytes(objects):
    folder, first = objects
    second = again(folder)
    assert {n: o.data for n, o in first.items()} == {n: o.data for n, o in second.items()}


def test_another_time_gives_other_uids(objects):
    folder, first = objects
    later = again(folder, NOW.replace(year=2027))
    assert not {o.sop_instance_uid for o in first.values()} & {o.sop_instance_uid for o in later.values()}


def test_every_object_belongs_to_the_study_and_patient_of_its_source(objects):
    folder, found = objects
    source = pydicom.dcmread(next(folder.glob("*.dcm")))
    for item in found.values():
        dataset = _read(item)
        for name in ("StudyInstanceUID", "PatientID", "PatientName", "PatientSex", "StudyDate", "AccessionNumber"):
            assert dataset[name].value == source[name].value


def test_every_object_describes_study_and_patient_alike(tmp_path):
    def described(dataset):
        dataset.StudyDescription, dataset.PatientAge, dataset.PatientWeight = "HEAD", "047Y", 71.5

    for item in result(tmp_path, change=described).values():
        dataset = _read(item)
        assert (dataset.StudyDescription, dataset.PatientAge, dataset.PatientWeight) == ("HEAD", "047Y", 71.5), (
            item.name
        )


def test_every_object_has_a_series_of_its_own(objects):
    _, found = objects
    datasets = [_read(item) for item in found.values()]
    assert len({d.SeriesInstanceUID for d in datasets}) == len(datasets)
    assert sorted(d.SeriesNumber for d in datasets) == [9000, 9001, 9002]
    assert len({d.SeriesDescription for d in datasets}) == len(datasets)


def test_every_object_says_that_it_is_research_and_who_made_it(objects):
    _, found = objects
    for item in found.values():
        dataset = _read(item)
        assert dataset.ContentQualification == "RESEARCH"
        assert "RESEARCH" in dataset.SeriesDescription
        equipment = [e for e in dataset.ContributingEquipmentSequence if "DeviceUID" in e]
        assert len(equipment) == 1
        assert equipment[0].PurposeOfReferenceCodeSequence[0].CodeValue == "109102"


def test_uids_and_times_are_those_of_the_result_not_of_the_clock(objects):
    _, found = objects
    for item in found.values():
        dataset = _read(item)
        assert dataset.SOPInstanceUID.startswith("2.25.")
        assert dataset.InstanceCreationDate == "20260102"
        assert dataset.ContentDate == "20260102"
