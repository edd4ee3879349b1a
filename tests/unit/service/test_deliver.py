from contextlib import contextmanager

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, MRImageStorage

from lnc_dicom.errors import PacsUnreachable
from lnc_service.deliver import Fate, deliver
from lnc_service.demo.main import ARCHIVE_AE_TITLE, embedded_archive, free_port
from lnc_service.settings import Pacs
from tests.factories import write_series


def _pacs(port, ae_title=ARCHIVE_AE_TITLE):
    return Pacs(host="127.0.0.1", port=port, ae_title=ae_title, timeout_s=2)


def test_files_arrive_as_they_are_and_a_second_time_changes_nothing(tmp_path):
    paths = write_series(tmp_path / "s")[:2]
    (tmp_path / "archive").mkdir()
    with embedded_archive(tmp_path / "archive") as port:
        deliver(paths, _pacs(port), "LNC")
        deliver(paths, _pacs(port), "LNC")
    arrived = sorted((tmp_path / "archive").glob("*.dcm"))
    assert len(arrived) == 2
    sent = {pydicom.dcmread(p).SOPInstanceUID: pydicom.dcmread(p).PixelData for p in paths}
    assert {d.SOPInstanceUID: d.PixelData for d in map(pydicom.dcmread, arrived)} == sent


def test_nobody_listening_is_unreachable(tmp_path):
    paths = write_series(tmp_path)[:1]
    with pytest.raises(PacsUnreachable):
        deliver(paths, _pacs(free_port()), "LNC")


@contextmanager
def _answering(answer, syntax=ExplicitVRLittleEndian):
    """Run a PACS that knows MR only; it answers with a status, or with what a function of the event gives."""
    ae = AE(ae_title="P")
    ae.add_supported_context(MRImageStorage, syntax)
    store = answer if callable(answer) else lambda _: answer
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield server.server_address[1]
    finally:
        ae.shutdown()


@pytest.mark.parametrize("status", [0xA900, 0xA9FF, 0xC000, 0xC123, 0x0117, 0x0122, 0x0124])
def test_a_permanent_refusal_is_said_with_its_status(tmp_path, status):
    paths = write_series(tmp_path)[:1]
    with _answering(status) as port:
        answers = deliver(paths, _pacs(port, "P"), "LNC")
    assert answers.fates == {paths[0].name: Fate.REFUSED}
    assert answers.reasons == {paths[0].name: f"status {status:04X}"}


@pytest.mark.parametrize("status", [0xA700, 0x0110, 0x0118])
def test_an_object_that_the_peer_cannot_take_now_waits(tmp_path, status):
    paths = write_series(tmp_path)[:1]
    with _answering(status) as port:
        assert deliver(paths, _pacs(port, "P"), "LNC").fates == {paths[0].name: Fate.WAITING}


@pytest.mark.slow
@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 0x0111])
def test_a_warning_and_a_duplicate_count_as_stored(tmp_path, status):
    paths = write_series(tmp_path)[:1]
    with _answering(status) as port:
        assert deliver(paths, _pacs(port, "P"), "LNC").fates == {paths[0].name: Fate.STORED}


def test_objects_beside_a_refused_one_are_sent(tmp_path):
    paths = write_series(tmp_path)[:3]
    refused = pydicom.dcmread(paths[0]).SOPInstanceUID

    def answer(event):
        return 0xA900 if event.request.AffectedSOPInstanceUID == refused else 0

    with _answering(answer) as port:
        fates = deliver(paths, _pacs(port, "P"), "LNC").fates
    assert list(fates.values()) == [Fate.REFUSED, Fate.STORED, Fate.STORED]


def test_a_sop_class_that_is_not_accepted_is_refused_and_the_others_are_sent(tmp_path):
    paths = write_series(tmp_path)[:2]
    dataset = pydicom.dcmread(paths[0])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.save_as(paths[0])
    with _answering(0) as port:
        answers = deliver(paths, _pacs(port, "P"), "LNC")
    assert list(answers.fates.values()) == [Fate.REFUSED, Fate.STORED]
    assert answers.reasons == {paths[0].name: "SOP class not accepted"}


@pytest.mark.slow
def test_a_peer_that_hangs_up_leaves_the_rest_waiting(tmp_path):
    paths = write_series(tmp_path)[:2]

    def hang_up(event):
        event.assoc.abort()
        return 0

    with _answering(hang_up) as port:
        assert set(deliver(paths, _pacs(port, "P"), "LNC").fates.values()) == {Fate.WAITING}


def test_a_peer_that_knows_implicit_vr_only_gets_the_same_values(tmp_path):
    (path,) = write_series(tmp_path)[:1]
    arrived = []
    with _answering(lambda event: arrived.append(event.dataset) or 0, syntax=ImplicitVRLittleEndian) as port:
        assert deliver([path], _pacs(port, "P"), "LNC").fates == {path.name: Fate.STORED}
    assert arrived[0].PixelData == pydicom.dcmread(path).PixelData
    assert arrived[0].PatientName == pydicom.dcmread(path).PatientName


@pytest.mark.parametrize("accepted", [RLELossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_compressed_object_arrives_as_it_is_or_decompressed_where_the_peer_cannot_read_it(tmp_path, accepted):
    dataset = pydicom.dcmread(write_series(tmp_path)[0])
    pixels = dataset.pixel_array.copy()
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "rle.dcm")
    arrived = []

    def keep(event):
        event.dataset.file_meta = event.file_meta
        arrived.append(event.dataset)
        return 0

    with _answering(keep, syntax=accepted) as port:
        deliver([tmp_path / "rle.dcm"], _pacs(port, "P"), "LNC")
    (found,) = arrived
    assert found.file_meta.TransferSyntaxUID == accepted
    assert found.SOPInstanceUID == dataset.SOPInstanceUID
    assert (found.pixel_array == pixels).all()
