"""`lnc serve` and `lnc worker` with everything real but the computing: results are small objects of the manifest.

FAKE_SECONDS: how long computing takes. FAKE_ABORT: names of studies (the first part of their jobs) that abort the
process that computes. FAKE_HANG and FAKE_EAT: studies that never end, or that take more and more memory.
"""

import os
import sys
import time
from pathlib import Path

import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from lnc_dicom.uids import uid

FILES = {
    "segmentation.dcm": (SegmentationStorage, "SEG"),
    "measurements.dcm": (Comprehensive3DSRStorage, "SR"),
    "summary.dcm": (SecondaryCaptureImageStorage, "OT"),
}
PROGRAM = (sys.executable, str(Path(__file__)))


def _result(name, study_uid, manifest):
    images = sorted(f"{o.sop_uid} {o.image}" for o in manifest.objects if o.digest in manifest.used)
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.Modality = FILES[name]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study_uid, uid("series", name, *images)
    dataset.SOPInstanceUID = uid(name, *images)
    dataset.PatientName, dataset.PatientID, dataset.Manufacturer = "", "", "lnc-dicom"
    dataset.ContentDescription = f"{len(images)} images, {manifest.made}"
    dataset.ValueType, dataset.ContentSequence = "CONTAINER", []
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _misbehave(key):
    if key[:12] in os.environ.get("FAKE_ABORT", "").split():
        sys.stderr.write("what(): CANARY\n")
        sys.stderr.flush()
        os.abort()
    if key[:12] in os.environ.get("FAKE_HANG", "").split():
        time.sleep(3600)
    eaten = []
    while key[:12] in os.environ.get("FAKE_EAT", "").split():
        eaten.append(b"x" * 50_000_000)
        time.sleep(0.02)
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0.1")))


def _work(key, job, settings):
    from lnc_service.logs import log
    from lnc_service.manifest import read_manifest
    from lnc_service.spool import Spool

    spool = Spool(settings.spool)
    manifest = read_manifest(spool.manifest(key, job))
    _misbehave(key)
    study_uid = pydicom.dcmread(manifest.paths(spool)[0]).StudyInstanceUID
    folder = spool.results(job)
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        _result(name, study_uid, manifest).save_as(folder / name, enforce_file_format=True)
    log.info("stage", extra={"job": job, "stage": "stub", "objects": len(manifest.used)})
    return {"state": "DONE", "code": "", "what": "", "do": "", "files": list(FILES)}


def _compute():
    from lnc_service.child import prepare_process, serve_jobs

    answers = prepare_process()
    serve_jobs(iter(sys.stdin.readline, ""), answers, _work)


def main():
    if sys.argv[1:] == ["compute"]:
        _compute()
        return
    from lnc_service import app, child
    from lnc_service.cli import main as lnc

    app.WORKER = (*PROGRAM, "worker")
    child.COMMAND = (*PROGRAM, "compute")
    lnc()


if __name__ == "__main__":
    main()
