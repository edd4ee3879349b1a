import subprocess
from contextlib import contextmanager

import pydicom
import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ParametricMapStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, MRImageStorage

from lnc_dicom.errors import PacsUnreachable
from lnc_service.deliver import Fate, deliver
from lnc_service.demo.main import ARCHIVE_AE_TITLE, embedded_archive, free_port
from lnc_service.settings import Pacs
from tests.acceptance.conftest import wait_for
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
def _answering(answer, syntax=ExplicitVRLittleEndian, classes=(MRImageStorage,)):
    """Run a PACS that knows few classes; it answers with a status, or with what a function of the event gives."""
    ae = AE(ae_title="P")
    for sop_class in classes:
        ae.add_supported_context(sop_class, syntax)
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


_DCMTK = """
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Few]
PresentationContext1 = SegmentationStorage\\Plain
PresentationContext2 = ComprehensiveSRStorage\\Plain
[[Profiles]]
[Default]
PresentationContexts = Few
"""


def _echoes(port):
    ae = AE()
    ae.add_requested_context(SegmentationStorage)
    association = ae.associate("127.0.0.1", port)
    association.release()
    return association.is_released


def test_dcmtk_that_knows_no_newer_classes_gets_the_same_in_older_ones(results, tmp_path, program):
    port = free_port()
    (tmp_path / "few.cfg").write_text(_DCMTK)
    (tmp_path / "stored").mkdir()
    command = [program("storescp"), "-xf", tmp_path / "few.cfg", "Default", "-od", tmp_path / "stored", str(port)]
    scp = subprocess.Popen(command)
    try:
        wait_for(lambda: _echoes(port), 20)
        files = [results / name for name in ("segmentation.dcm", "measurements.dcm", "labelmap.dcm")]
        answers = deliver(files, _pacs(port), "LNC")
    finally:
        scp.terminate()
        scp.wait()
    assert set(answers.fates.values()) == {Fate.STORED}
    assert answers.instead == {
        "measurements.dcm": "Comprehensive SR Storage",
        "labelmap.dcm": "Segmentation Storage",
    }
    stored = [pydicom.dcmread(path) for path in (tmp_path / "stored").iterdir()]
    assert {d.SOPClassUID for d in stored} == {ComprehensiveSRStorage, SegmentationStorage}
    (sr,) = (d for d in stored if d.Modality == "SR")
    assert next(d for d in stored if d.Modality == "SEG").SOPInstanceUID in sr.to_json()  # the SR names what is there


def test_a_class_that_is_accepted_and_then_refused_is_sent_in_another(results):
    classes = (Comprehensive3DSRStorage, ComprehensiveSRStorage)
    arrived = []

    def answer(event):
        arrived.append(event.request.AffectedSOPClassUID)
        return 0x0122 if arrived[-1] == Comprehensive3DSRStorage else 0

    with _answering(answer, classes=classes) as port:
        answers = deliver([results / "measurements.dcm"], _pacs(port, "P"), "LNC")
    assert arrived == list(classes)
    assert (answers.fates, answers.reasons) == ({"measurements.dcm": Fate.STORED}, {})


def test_a_document_that_is_taken_as_it_is_is_sent_once(results):
    arrived = []
    keep = lambda event: arrived.append(event.request.AffectedSOPClassUID) or 0  # noqa: E731
    with _answering(keep, classes=(Comprehensive3DSRStorage, ComprehensiveSRStorage)) as port:
        answers = deliver([results / "measurements.dcm"], _pacs(port, "P"), "LNC")
    assert arrived == [Comprehensive3DSRStorage]
    assert answers.instead == {}


@pytest.mark.parametrize(
    ("classes", "status", "fate", "reason"),
    [
        (
            (ComprehensiveSRStorage,),
            0xA900,
            Fate.REFUSED,
            "SOP class not accepted; as Comprehensive SR Storage: status A900",
        ),
        (
            (ComprehensiveSRStorage,),
            0xA700,
            Fate.WAITING,
            "SOP class not accepted; as Comprehensive SR Storage: status A700",
        ),
    ],
)
def test_where_neither_form_is_taken_both_reasons_are_said(results, classes, status, fate, reason):
    with _answering(status, classes=classes) as port:
        answers = deliver([results / "measurements.dcm"], _pacs(port, "P"), "LNC")
    assert answers.fates == {"measurements.dcm": fate}
    assert answers.reasons == {"measurements.dcm": reason}


def test_a_peer_that_knows_none_of_the_classes_refuses_them_and_is_not_taken_for_silent(results):
    with _answering(0) as port:
        answers = deliver([results / "measurements.dcm"], _pacs(port, "P"), "LNC")
    assert answers.fates == {"measurements.dcm": Fate.REFUSED}
    assert answers.reasons == {"measurements.dcm": "SOP class not accepted"}


def test_a_map_that_no_page_shows_is_refused_with_the_reason(results, tmp_path):
    dataset = pydicom.dcmread(results / "segmentation.dcm")
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ParametricMapStorage
    dataset.save_as(tmp_path / "map-fa.dcm")
    with _answering(0, classes=(SecondaryCaptureImageStorage,)) as port:
        answers = deliver([tmp_path / "map-fa.dcm"], _pacs(port, "P"), "LNC")
    assert answers.reasons == {"map-fa.dcm": "SOP class not accepted; there is no other form of it"}
