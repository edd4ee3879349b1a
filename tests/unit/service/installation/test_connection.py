import contextlib

import pytest
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, SegmentationStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from lnc_dicom.outputs import DEFAULT_OUTPUTS, Output
from lnc_service.installation.connection import CLASSES_OF
from lnc_service.installation.connection import test_connection as connect
from lnc_service.settings import Pacs


@contextlib.contextmanager
def _archive(*classes, status=0x0000, title="PACS"):
    ae = AE(ae_title=title)
    ae.require_called_aet = True
    for sop_class in classes:
        ae.add_supported_context(sop_class)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, lambda _: status)])
    try:
        yield Pacs(host="127.0.0.1", port=server.server_address[1], ae_title="PACS", timeout_s=5)
    finally:
        server.shutdown()


def test_every_kind_of_object_that_is_sent_has_a_class():
    assert set(CLASSES_OF) == set(Output) - {Output.FHIR}


def test_a_destination_says_what_it_takes_what_in_another_class_and_what_not():
    with _archive(Verification, SegmentationStorage, ComprehensiveSRStorage) as pacs:
        found = connect(pacs, "LNC", DEFAULT_OUTPUTS)
    assert found.echo_ms > 0
    assert (found.taken, found.instead) == ((Output.SEG,), (Output.SR,))
    assert found.refused == (Output.SUMMARY, Output.BIOMARKER, Output.SALIENCY)
    assert not found.good
    assert "refuses summary, biomarker, saliency" in str(found)


def test_a_destination_that_takes_everything_is_good():
    with _archive(Verification, SegmentationStorage, Comprehensive3DSRStorage) as pacs:
        assert connect(pacs, "LNC", [Output.SEG, Output.SR, Output.FHIR]).good


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        ({"title": "OTHER"}, "rejected, called ae title not recognised"),
        ({"status": 0x0122}, "C-ECHO has status 0122"),
    ],
)
def test_a_destination_that_does_not_want_us_says_why(archive, said):
    with _archive(Verification, **archive) as pacs:
        found = connect(pacs, "LNC", [])
    assert not found.good
    assert said in str(found)


def test_nothing_answers_where_nothing_is():
    with _archive(Verification) as pacs:
        pass
    assert "nothing answers" in str(connect(pacs, "LNC", [])) or "aborted" in str(connect(pacs, "LNC", []))
