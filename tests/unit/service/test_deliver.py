import pydicom
import pytest
from lnc_service.deliver import deliver
from lnc_service.demo.main import ARCHIVE_AE_TITLE, embedded_archive, free_port
from lnc_service.settings import Pacs
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import MRImageStorage

from lnc_dicom.errors import PacsRefused, PacsUnreachable
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


def _answering(status, sop_class=MRImageStorage):
    ae = AE(ae_title="P")
    ae.add_supported_context(sop_class)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _: status)])
    return ae, server.server_address[1]


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0x0122])
def test_a_refused_object_is_said_with_its_status(tmp_path, status):
    paths = write_series(tmp_path)[:1]
    ae, port = _answering(status)
    try:
        with pytest.raises(PacsRefused, match=f"{status:04X}"):
            deliver(paths, _pacs(port, "P"), "LNC")
    finally:
        ae.shutdown()


def test_a_warning_counts_as_stored(tmp_path):
    paths = write_series(tmp_path)[:1]
    ae, port = _answering(0xB000)
    deliver(paths, _pacs(port, "P"), "LNC")
    ae.shutdown()


def test_a_sop_class_that_is_not_accepted_is_named(tmp_path):
    from pynetdicom.sop_class import CTImageStorage

    paths = write_series(tmp_path)[:1]
    ae, port = _answering(0, CTImageStorage)
    try:
        with pytest.raises((PacsRefused, PacsUnreachable)):
            deliver(paths, _pacs(port, "P"), "LNC")
    finally:
        ae.shutdown()


@pytest.mark.parametrize("accepted", [RLELossless, ExplicitVRLittleEndian])
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

    ae = AE(ae_title="P")
    ae.add_supported_context(MRImageStorage, accepted)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    try:
        deliver([tmp_path / "rle.dcm"], _pacs(server.server_address[1], "P"), "LNC")
    finally:
        ae.shutdown()
    (found,) = arrived
    assert found.file_meta.TransferSyntaxUID == accepted
    assert found.SOPInstanceUID == dataset.SOPInstanceUID
    assert (found.pixel_array == pixels).all()
