"""A scanner sends a real head; SEG, SR and summary page come back in the PACS and say what was measured."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import highdicom as hd
import numpy as np
import pydicom
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_service.jobs import retry
from lnc_service.settings import load_settings
from lnc_service.states import JobState
from tests.acceptance.conftest import RESULTS, wait_for

QUIET_S = 1.5
LIMIT_S = 25.0
"""Last image received to results stored in the PACS, beyond the quiet time."""

HEAD = "siemens-prisma-3t/t1"
SMALL_HEAD = "siemens-xa30-enhanced/5_anat-T1w_acq-tfl"


def _dataset(data):
    return pydicom.dcmread(io.BytesIO(data))


def test_a_study_from_the_scanner_comes_back_to_the_pacs(service, orthanc, data, program, tmp_path):
    orthanc.start()
    service.start()
    service.send(program("storescu"), data / HEAD)
    sent = time.monotonic()
    found = wait_for(lambda: len(orthanc.get("/instances")) == RESULTS and orthanc.objects(), 180)
    seconds = time.monotonic() - sent - QUIET_S
    assert seconds < LIMIT_S
    assert {modality: len(objects) for modality, objects in found.items()} == {"OT": 1, "SEG": 1, "SR": 1}

    source = pydicom.dcmread(next((data / HEAD).iterdir()))
    seg, sr = _dataset(found["SEG"][0]), _dataset(found["SR"][0])
    assert seg.StudyInstanceUID == sr.StudyInstanceUID == source.StudyInstanceUID
    assert seg.PatientID == sr.PatientID == source.PatientID
    volume = hd.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)
    (job,) = service.jobs()
    assert job.state == "DONE"
    result = json.loads((service.spool / "results" / job.name / "result.json").read_text())
    counts = np.bincount(volume.array.ravel(), minlength=len(STRUCTURES) + 1)
    assert [r["voxels"] for r in result["regions"]] == list(counts[1:])

    path = tmp_path / "sr.dcm"
    path.write_bytes(found["SR"][0])
    reader = [program("tid1500reader"), "--inputDICOM", path, "--outputMetadata", tmp_path / "sr.json"]
    subprocess.run(reader, check=True, capture_output=True)
    groups = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    names = {s.title for s in STRUCTURES}
    asymmetry = {f"{row['name'].capitalize()}, asymmetry" for row in result["asymmetry"]}
    told = asymmetry | {"Images, quality", "Images, quality, 2"}  # nothing that was predicted
    assert {g["TrackingIdentifier"] for g in groups} == names | told
    measured = [g for g in groups if "ReferencedSegment" in g]
    outlined = [g for g in groups if g["TrackingIdentifier"] in names and "ReferencedSegment" not in g]
    assert [g["TrackingUniqueIdentifier"] for g in outlined] == [g["TrackingUniqueIdentifier"] for g in measured]
    for group, region in zip(measured, result["regions"], strict=True):
        assert group["Laterality"]["CodeMeaning"].lower() == region["side"]
        volume_mm3 = float(group["measurementItems"][0]["value"])
        assert volume_mm3 == pytest.approx(region["volume_ml"] * 1000, abs=0.06)


def test_results_wait_for_a_pacs_that_is_down(service, orthanc, data, program):
    service.start()
    service.send(program("storescu"), data / SMALL_HEAD)
    wait_for(lambda: '"not delivered"' in service.log.read_text(), 180)
    (job,) = service.jobs()
    assert job.state is JobState.DELIVERING
    assert len(list((service.spool / "results" / job.name).glob("*.dcm"))) == RESULTS
    orthanc.start()
    wait_for(lambda: len(orthanc.get("/instances")) == RESULTS, 180)
    (job,) = wait_for(lambda: service.finished(1), 30)
    assert job.state == "DONE"


def test_a_service_that_is_killed_goes_on_where_it_was_and_doubles_nothing(service, orthanc, data, program):
    service.start()
    service.send(program("storescu"), data / SMALL_HEAD)
    wait_for(lambda: '"not delivered"' in service.log.read_text(), 180)
    service.kill()
    before = {p.name: p.read_bytes() for p in (service.spool / "results").glob("*/*.dcm")}
    orthanc.start()
    service.start()
    wait_for(lambda: len(orthanc.get("/instances")) >= RESULTS, 180)
    (job,) = wait_for(lambda: service.finished(1), 30)
    assert job.state == "DONE"
    assert len(orthanc.get("/instances")) == RESULTS
    assert {p.name: p.read_bytes() for p in (service.spool / "results").glob("*/*.dcm")} == before


def test_a_receiver_that_dies_is_started_again(service, orthanc, data, program):
    orthanc.start()
    service.start()
    os.kill(service.lines("listening")[0]["pid"], signal.SIGKILL)
    wait_for(lambda: service.events().count("listening") == 2, 30)
    service.send(program("storescu"), data / SMALL_HEAD)
    wait_for(lambda: len(orthanc.get("/instances")) == RESULTS, 180)


def test_a_delivery_that_failed_can_be_run_again_without_computing_again(service, orthanc, data, program):
    text = service.config.read_text().replace("[retry]", "[retry]\ngive_up_after_h = 0.0005")
    service.config.write_text(text)
    service.start()
    service.send(program("storescu"), data / SMALL_HEAD)
    (job,) = wait_for(lambda: service.finished(1), 180)
    assert (job.state, job.code) == (JobState.FAILED, "LNC-201")
    computed = service.log.read_text().count('"segment"')
    orthanc.start()
    retry(load_settings(service.config), job.name)
    wait_for(lambda: len(orthanc.get("/instances")) == RESULTS, 180)
    wait_for(lambda: service.jobs()[0].state is JobState.DONE, 30)
    assert service.log.read_text().count('"segment"') == computed


def test_the_demonstration_brings_its_results_back(tmp_path):
    command = [
        sys.executable,
        "-c",
        "from lnc_service.cli import main; main()",
        "demo",
        "--folder",
        str(tmp_path / "demo"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    predictions = 3
    assert len(list((tmp_path / "demo" / "archive").glob("*.dcm"))) == RESULTS + predictions
    assert (tmp_path / "demo" / "summary.png").stat().st_size > 100_000
    assert str(tmp_path / "demo" / "summary.png") in done.stdout.replace("\n", "")
