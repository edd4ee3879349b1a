import subprocess
import sys

import pydicom
import pytest
from lnc_service import receive
from lnc_service.demo.main import free_port
from lnc_service.demo.sample import mr_series
from lnc_service.settings import Listen
from lnc_service.spool import Spool
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage

from tests.factories import NOW, head, write_series


@pytest.fixture
def receiver(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    listen = Listen(host="127.0.0.1", port=free_port())
    ae = receive.start(listen, spool)
    yield listen, spool
    ae.shutdown()


def _image():
    return next(mr_series(*head(), NOW))


def _send(listen, dataset, called="LNC"):
    ae = AE(ae_title="TEST")
    ae.add_requested_context(MRImageStorage, dataset.file_meta.TransferSyntaxUID)
    association = ae.associate(listen.host, listen.port, ae_title=called)
    if not association.is_established:
        return None
    try:
        return association.send_c_store(dataset).Status
    finally:
        association.release()


def test_success_means_that_the_object_is_on_disk(receiver):
    listen, spool = receiver
    image = _image()
    assert _send(listen, image) == receive.SUCCESS
    (study,) = spool.studies()
    (path,) = study.folder.glob("*.dcm")
    kept = pydicom.dcmread(path)
    assert kept.SOPInstanceUID == image.SOPInstanceUID
    assert kept.PixelData == image.PixelData


def test_a_sender_that_calls_another_title_is_refused(receiver):
    listen, spool = receiver
    assert _send(listen, _image(), called="OTHER") is None
    assert list(spool.studies()) == []


def test_an_object_without_a_study_is_refused_and_not_kept(receiver):
    listen, spool = receiver
    image = _image()
    del image.StudyInstanceUID
    assert _send(listen, image) == receive.CANNOT_UNDERSTAND
    assert list(spool.studies()) == []


def test_a_full_disk_is_answered_with_try_again(receiver, monkeypatch):
    listen, _ = receiver

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "keep", full)
    assert _send(listen, _image()) == receive.OUT_OF_RESOURCES


def test_the_peer_does_not_choose_file_names(receiver):
    listen, spool = receiver
    image = _image()
    image.StudyInstanceUID = "1.2.3"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    _send(listen, image)
    assert not [p for p in spool.root.rglob("*") if "1.2.3" in p.name]


def test_dcmtk_can_send_lossless_jpeg(receiver, tmp_path, program):
    listen, spool = receiver
    paths = write_series(tmp_path / "series")[:3]
    for path in paths:
        subprocess.run([program("dcmcjpeg"), path, path], check=True)
    command = [program("storescu"), "-xs", "-aec", "LNC", listen.host, str(listen.port), *paths]
    subprocess.run(command, check=True)
    (study,) = spool.studies()
    syntaxes = {pydicom.dcmread(p).file_meta.TransferSyntaxUID for p in study.folder.glob("*.dcm")}
    assert syntaxes == {pydicom.uid.JPEGLosslessSV1}


def test_the_receiver_runs_without_torch():
    script = "import sys, lnc_service.receive; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
