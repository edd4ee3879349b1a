import io
import json
import os

import pydicom
import pytest
from pydicom.uid import JPEGLSLossless

from lnc_dicom.study.priors import OUR_NAME
from lnc_service.alternatives import alternative_uid
from lnc_service.manifest import Closed, close_study, manifests_of, read_manifest, search_digest, shorten_manifests
from lnc_service.spool import Spool
from tests.factories import write_series

START_NS = 1_800_000_000_000_000_000
STUDY = "1.2.3"


class _Arrivals:
    """A study whose objects arrive one second apart."""

    def __init__(self, root):
        self.spool = Spool(root / "spool")
        self.spool.prepare()
        self.images = [pydicom.dcmread(p) for p in write_series(root / "images", study_uid=STUDY)[:4]]
        self.time_ns = START_NS
        self.key = ""

    def arrive(self, dataset, **attributes):
        """Receive an object, with other attributes if they are named."""
        changed = pydicom.dcmread(io.BytesIO(_bytes(dataset)))
        for name, value in attributes.items():
            setattr(changed, name, value)
        path = self.spool.keep(STUDY, _bytes(changed))
        self.time_ns += 1_000_000_000
        os.utime(path, ns=(self.time_ns, self.time_ns))
        self.key = path.parent.name
        return path.stem

    def arrive_all(self, **attributes):
        return [self.arrive(image, **attributes) for image in self.images]

    def close(self):
        return close_study(self.spool, self.key, Closed.QUIET, "now")


def _bytes(dataset):
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def study(tmp_path):
    return _Arrivals(tmp_path)


def _other(pixels):
    return bytes(255 - b for b in pixels)


def test_a_manifest_names_what_arrived_in_order_and_is_read_as_it_was_written(study):
    digests = study.arrive_all()
    manifest = study.close()
    assert [o.digest for o in manifest.objects] == digests == list(manifest.used)
    assert [o.sop_uid for o in manifest.objects] == [i.SOPInstanceUID for i in study.images]
    assert manifest.made * 1e9 == study.time_ns
    assert (manifest.reason, manifest.replaced, manifest.version, manifest.earlier) == (Closed.QUIET, 0, "", ())
    assert read_manifest(study.spool.manifest(study.key, manifest.job)) == manifest


def test_late_images_are_another_job_that_knows_the_first_and_the_first_stays_what_it_was(study):
    for image in study.images[:3]:
        study.arrive(image)
    first = study.close()
    study.arrive(study.images[3])
    second = study.close()
    assert second.job != first.job
    assert second.earlier == (first.job,)
    assert (len(first.used), len(second.used)) == (3, 4)
    assert read_manifest(study.spool.manifest(study.key, first.job)) == first


def test_the_same_content_is_the_same_job_however_often_it_comes(study):
    study.arrive_all()
    first = study.close()
    study.arrive_all()
    assert study.close() == first
    study.arrive_all(InstitutionName="Archive")
    assert study.close() == first
    assert len(manifests_of(study.spool, study.key)) == 1


def test_other_pixels_under_the_same_uids_win_as_a_whole_series_and_are_another_version(study):
    study.arrive_all()
    first = study.close()
    again = [study.arrive(image, PixelData=_other(image.PixelData)) for image in study.images]
    second = study.close()
    assert list(second.used) == again
    assert second.replaced == 4
    assert second.version
    assert second.earlier == (first.job,)


def test_pixels_that_came_at_different_times_are_never_mixed_in_a_series(study):
    study.arrive_all()
    again = [study.arrive(image, PixelData=_other(image.PixelData)) for image in study.images[:2]]
    manifest = study.close()
    assert list(manifest.used) == again
    assert manifest.replaced == 4


def test_a_series_beside_a_changed_one_is_used_as_it_came(study):
    beside = study.arrive(study.images[3], SeriesInstanceUID="1.9", SOPInstanceUID="1.9.1")
    for image in study.images[:2]:
        study.arrive(image)
    again = [study.arrive(image, PixelData=_other(image.PixelData)) for image in study.images[:2]]
    assert list(study.close().used) == [beside, *again]


def test_a_corrected_identity_wins_and_is_another_version_without_replaced_pixels(study):
    study.arrive_all()
    first = study.close()
    corrected = study.arrive_all(PatientID="CORRECTED")
    second = study.close()
    assert list(second.used) == corrected
    assert second.job != first.job
    assert second.version
    assert second.replaced == 0


def test_results_of_ours_that_come_back_make_no_job(study):
    study.arrive_all()
    first = study.close()
    study.arrive(study.images[0], Manufacturer=OUR_NAME, SOPInstanceUID="2.25.1", SeriesInstanceUID="2.25.2")
    assert study.close() == first


@pytest.mark.parametrize("uid", ["2.25.1", alternative_uid("2.25.1")])
def test_a_result_whose_manufacturer_was_changed_on_the_way_is_known_by_its_uid(study, uid):
    study.arrive_all()
    first = study.close()
    folder = study.spool.results(first.job)
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps({"objects": [{"sop_instance_uid": "2.25.1"}]}))
    study.arrive(study.images[0], Manufacturer="Archive", SOPInstanceUID=uid, SeriesInstanceUID="2.25.2")
    assert study.close() == first


def _in_request(priority):
    item = pydicom.Dataset()
    item.RequestedProcedurePriority = priority
    return {"RequestAttributesSequence": [item]}


@pytest.mark.parametrize(
    ("attributes", "stat"),
    [
        ({"RequestedProcedurePriority": "STAT"}, True),
        ({"RequestedProcedurePriority": "HIGH"}, True),
        ({"ScheduledProcedureStepPriority": "STAT"}, True),
        (_in_request("STAT"), True),
        (_in_request("ROUTINE"), False),
        ({"RequestedProcedurePriority": "MEDIUM"}, False),
        ({"file_meta": {"SendingApplicationEntityTitle": "EMERGENCY"}}, True),
        ({"file_meta": {"SourceApplicationEntityTitle": "CT1"}}, False),
    ],
)
def test_one_image_that_asks_for_it_makes_a_study_stat(study, attributes, stat):
    for name, value in attributes.pop("file_meta", {}).items():
        setattr(study.images[0].file_meta, name, value)
    study.arrive(study.images[0], **attributes)
    study.arrive(study.images[1])
    assert study.close().stat is stat


def test_a_manifest_from_before_stat_was_known_is_read(study):
    study.arrive_all()
    manifest = study.close()
    path = study.spool.manifest(study.key, manifest.job)
    path.write_text(path.read_text().replace(',\n   "stat": false', ""))
    assert '"stat"' not in path.read_text()
    assert read_manifest(path) == manifest


def test_a_manifest_whose_images_are_gone_says_what_finds_the_study_and_stays_the_job_of_its_content(study):
    study.arrive_all(AccessionNumber="A1")
    full = study.close()
    path = study.spool.manifest(study.key, full.job)
    size = path.stat().st_size
    shorten_manifests(study.spool, study.key)
    short = read_manifest(path)
    assert path.stat().st_size < size / 2
    assert (short.made, short.version, short.used) == (full.made, full.version, ())
    assert any(search_digest("A1") in o.found_by for o in short.objects)
    assert study.close() == short  # the same images again are the same job


def test_a_study_of_results_only_makes_no_job(study):
    study.arrive(study.images[0], Manufacturer=OUR_NAME)
    assert study.close() is None


def test_results_are_later_than_those_before_them_though_the_clock_was_set_back(study):
    study.arrive_all()
    first = study.close()
    study.time_ns -= 3_600_000_000_000
    study.arrive(study.images[0], SOPInstanceUID="1.2.3.4")
    assert study.close().made > first.made


def test_a_file_that_cannot_be_read_is_named_and_left_to_the_computing(study):
    study.arrive_all()
    path = study.spool.keep(STUDY, b"nonsense")
    assert path.stem in study.close().used


def test_no_value_that_an_operator_looks_for_is_written(study):
    study.arrive_all(PatientID="CANARY-4711", AccessionNumber="CANARY")
    manifest = study.close()
    text = study.spool.manifest(study.key, manifest.job).read_text()
    assert "CANARY" not in text
    assert search_digest(" canary-4711 ") in manifest.objects[0].found_by


def test_compressed_pixels_are_told_apart_too(study):
    image = study.images[0]
    image.compress(JPEGLSLossless, generate_instance_uid=False)
    study.arrive(image)
    first = study.close()
    pixels = bytearray(image.PixelData)
    pixels[-9] ^= 1
    study.arrive(image, PixelData=bytes(pixels))
    assert study.close().job != first.job
