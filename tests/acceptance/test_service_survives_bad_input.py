"""Every kind of bad study gets its own code in `lnc jobs`, nothing received is lost, and the next study is measured."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, JPEGBaseline8Bit, generate_uid

from lnc_dicom.study.load import load
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import select
from tests.acceptance.conftest import RESULTS, wait_for
from tests.factories import head, layout, phantom, write_series

GOOD = "siemens-xa30-enhanced/5_anat-T1w_acq-tfl"


def _axial(shape, spacing_mm):
    return layout(*head(shape, spacing_mm), (2, 1, 0), (1, 1, 1))


def _ct(dataset):
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.Modality = "CT"


def _flair(dataset):
    dataset.InversionTime, dataset.EchoTime, dataset.SeriesDescription = 2500, 100, "FLAIR"


def _lossy(folder):
    """Write a series as lossy JPEG (8 bit), as some PACS hand it out."""
    folder.mkdir()
    picture = io.BytesIO()
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(picture, format="JPEG")
    study = generate_uid()
    for i, path in enumerate(write_series(folder, *_axial((32, 32, 30), (2, 2, 2)), study_uid=study)):
        dataset = pydicom.dcmread(path)
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PixelData = encapsulate([picture.getvalue()])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.LossyImageCompression = "01"
        dataset.InstanceNumber = i
        dataset.save_as(path)


def _cut_off(folder, real_head):
    """Write the upper third of a real head."""
    volume, _ = load(select(read_study([real_head])).chosen)
    upright = volume.to_patient_orientation("LPS")
    top = upright[:, :, 92:]
    write_series(folder, top.array.transpose(2, 1, 0), top.affine[:, [2, 1, 0, 3]])


def _bad_studies(folder, real_head):
    """Write one study of each kind; folders by the code that it must get."""
    write_series(folder / "LNC-102", change=_ct)
    write_series(folder / "LNC-103", change=_flair)
    write_series(folder / "LNC-104", *_axial((60, 60, 25), (2, 2, 6)))
    write_series(folder / "LNC-105")[30].unlink()
    doubled = write_series(folder / "LNC-106")[30]
    dataset = pydicom.dcmread(doubled)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.PixelData = bytes(len(dataset.PixelData))  # with equal pixels it would be a copy, and left out
    dataset.save_as(folder / "LNC-106" / "again.dcm")
    write_series(folder / "LNC-109", *layout(*phantom(), (2, 1, 0), (1, 1, 1)))
    _cut_off(folder / "LNC-108", real_head)
    _lossy(folder / "LNC-110")


def test_every_bad_study_gets_its_code_and_the_next_one_is_measured(service, orthanc, data, program, tmp_path):
    bad = tmp_path / "bad"
    _bad_studies(bad, data / GOOD)
    orthanc.start()
    service.start()
    expected = {}
    for folder in sorted(bad.iterdir()):
        options = ["-xy"] if folder.name == "LNC-110" else []
        service.send(program("storescu"), folder, options=options)
        expected[folder.name] = len(list(folder.glob("*.dcm")))
    jobs = wait_for(lambda: service.finished(len(expected)), 300)
    assert sorted(j.code for j in jobs) == sorted(expected)
    assert {j.state for j in jobs} == {"REJECTED"}
    assert {j.code: j.objects for j in jobs} == expected
    assert all(j.what and j.do for j in jobs)
    assert orthanc.get("/instances") == []

    service.send(program("storescu"), data / GOOD)
    wait_for(lambda: len(orthanc.get("/instances")) == RESULTS, 180)
    assert service.process.poll() is None


@pytest.mark.parametrize("seconds", [0])
def test_a_sender_that_hangs_up_in_the_middle_does_no_harm(service, orthanc, data, program, seconds):
    import socket

    orthanc.start()
    service.start()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(b"\x01\x00\x00\x00\x00\xff" + b"x" * seconds)
    service.send(program("storescu"), data / GOOD)
    wait_for(lambda: len(orthanc.get("/instances")) == RESULTS, 180)
