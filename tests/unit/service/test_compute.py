import json
import logging

import pydicom
import pytest

from lnc_dicom.study.priors import FILE
from lnc_service import compute as module
from lnc_service.compute import Models, compute, study_of
from lnc_service.manifest import Closed, close_study
from lnc_service.settings import Settings
from lnc_service.spool import Spool
from tests.factories import BoxSegmenter, write_series

STUDY = "1.2.3"


class _Site:
    """A spool with a study, and what computes it."""

    def __init__(self, root):
        self.spool = Spool(root / "spool")
        self.spool.prepare()
        objects = ["seg", "sr"]
        self.settings = Settings(
            spool=self.spool.root,
            pacs={"host": "x", "ae_title": "PACS"},
            biomarker={"enabled": False},
            objects=objects,
        )
        self.paths = write_series(root / "study", study_uid=STUDY)

    def receive(self, paths=None):
        for path in paths or self.paths:
            kept = self.spool.keep(STUDY, path.read_bytes())
        return close_study(self.spool, kept.parent.name, Closed.QUIET, "now")

    def compute(self, manifest):
        return compute(manifest.key, manifest.job, self.settings, Models(BoxSegmenter()))


@pytest.fixture
def site(tmp_path):
    return _Site(tmp_path)


def test_what_arrives_after_the_study_was_closed_is_not_looked_at(site):
    manifest = site.receive()
    site.spool.keep(STUDY, b"nonsense that came late")
    study = study_of(manifest, site.spool)
    assert sum(len(s.instances) for s in study.series) == len(site.paths)
    assert study.caveats == ()


def test_a_result_says_when_the_study_arrived_and_names_the_one_that_it_replaces(site):
    first = site.receive(site.paths[:-1])
    assert site.compute(first)["state"] == "DONE"
    second = site.receive()
    outcome = site.compute(second)
    assert outcome["files"] == ["segmentation.dcm", "measurements.dcm"]
    reports = [pydicom.dcmread(site.spool.results(m.job) / FILE) for m in (first, second)]
    (named,) = reports[1].PredecessorDocumentsSequence
    assert named.ReferencedSeriesSequence[0].SeriesInstanceUID == reports[0].SeriesInstanceUID


def test_pixels_that_came_again_otherwise_get_a_caveat_and_uids_of_their_own(site):
    first = site.receive()
    assert site.compute(first)["state"] == "DONE"
    for path in site.paths:
        dataset = pydicom.dcmread(path)
        dataset.PixelData = bytes(b ^ 1 if n % 2 == 0 else b for n, b in enumerate(dataset.PixelData))
        dataset.save_as(path)
    second = site.receive()
    assert site.compute(second)["state"] == "DONE"
    result = json.loads((site.spool.results(second.job) / "result.json").read_text())
    assert f"{len(site.paths)} objects" in next(c["text"] for c in result["caveats"] if c["code"] == "LNC-401")
    reports = [pydicom.dcmread(site.spool.results(m.job) / FILE) for m in (first, second)]
    assert reports[0].SOPInstanceUID != reports[1].SOPInstanceUID
    assert "PredecessorDocumentsSequence" in reports[1]


def test_pixels_that_came_again_otherwise_are_said_on_the_summary_page(site):
    site.receive()
    for path in site.paths:
        dataset = pydicom.dcmread(path)
        dataset.PixelData = bytes(len(dataset.PixelData))
        dataset.save_as(path)
    (caveat,) = study_of(site.receive(), site.spool).caveats
    assert caveat.code == "LNC-401"
    assert caveat.is_our_text  # else pages and text reports leave it out


def test_a_study_that_cannot_be_measured_is_an_outcome_with_its_reason(site):
    outcome = site.compute(site.receive(site.paths[:20]))
    assert outcome["state"] == "REJECTED"
    assert outcome["code"]
    assert outcome["do"]


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [(OSError(28, "CANARY"), "WAITING", "LNC-204"), (ValueError("CANARY"), "FAILED", "LNC-300")],
)
def test_a_full_disk_waits_and_a_defect_fails_and_neither_repeats_its_message(site, monkeypatch, error, state, code):
    def fail(path, data):
        raise error

    manifest = site.receive(site.paths[:20])
    monkeypatch.setattr(module, "write_durably", fail)
    outcome = site.compute(manifest)
    assert (outcome["state"], outcome["code"]) == (state, code)
    assert "CANARY" not in str(outcome)


def test_a_series_that_failed_before_another_was_measured_is_in_the_log_with_its_code(site, tmp_path, caplog):
    def corrected(dataset):
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "DIS3D"]

    gap = write_series(tmp_path / "gap", change=corrected, study_uid=STUDY)
    del gap[30]
    with caplog.at_level(logging.INFO, logger="lnc"):
        assert site.compute(site.receive([*site.paths, *gap]))["state"] == "DONE"
    assert [r.code for r in caplog.records if r.msg == "series failed"] == ["LNC-105"]
