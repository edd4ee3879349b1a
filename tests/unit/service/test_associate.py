import pytest
from pynetdicom.sop_class import CTImageStorage, Verification

from lnc_dicom.errors import PacsUnreachable
from lnc_service.associate import association
from lnc_service.demo.main import free_port
from lnc_service.settings import Pacs
from tests.archive import Archive


def test_an_association_is_released_at_the_end():
    with Archive() as archive:
        with association(archive.pacs(), "LNC", [CTImageStorage]) as peer:
            assert peer.is_established
        assert peer.is_released


def test_a_peer_that_takes_none_of_the_classes_is_there_and_not_established():
    with Archive() as archive, association(archive.pacs(), "LNC", [Verification]) as peer:
        assert not peer.is_established


def test_nobody_there_is_unreachable():
    pacs = Pacs(host="127.0.0.1", port=free_port(), ae_title="P", timeout_s=2)
    with pytest.raises(PacsUnreachable), association(pacs, "LNC", [Verification]):
        pass
