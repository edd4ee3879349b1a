import socket

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage

from lnc_dicom.errors import UnusableInput
from lnc_service.demo.main import ARCHIVE_AE_TITLE, DemoFailed, _clear, _wait, embedded_archive, free_port
from tests.factories import write_series


def test_the_embedded_archive_keeps_what_it_stores_as_whole_files(tmp_path):
    image = pydicom.dcmread(write_series(tmp_path / "s")[0])
    (tmp_path / "archive").mkdir()
    with embedded_archive(tmp_path / "archive") as port:
        ae = AE()
        ae.add_requested_context(MRImageStorage, image.file_meta.TransferSyntaxUID)
        association = ae.associate("127.0.0.1", port, ae_title=ARCHIVE_AE_TITLE)
        assert association.send_c_store(image).Status == 0
        association.release()
    (stored,) = (tmp_path / "archive").iterdir()
    assert pydicom.dcmread(stored).PixelData == image.PixelData


def test_a_free_port_can_be_listened_on():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))


def test_only_the_folder_of_an_earlier_demonstration_is_emptied(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UnusableInput):
        _clear(tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    (tmp_path / "lnc.toml").write_text("")
    _clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("alive", "limit_s", "reason"), [(True, 0.0, "no results within"), (False, 9.0, "ended")])
def test_a_demonstration_that_does_not_come_to_its_end_says_why(alive, limit_s, reason):
    with pytest.raises(DemoFailed, match=reason):
        _wait(lambda: False, lambda: alive, limit_s, "no results")
