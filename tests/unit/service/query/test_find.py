import pytest
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage

from lnc_dicom.errors import PacsUnreachable
from lnc_service.deliver import deliver
from lnc_service.query.find import find_images, find_series
from lnc_service.settings import Pacs
from tests.acceptance.service_peers import small_study
from tests.archive import Archive


@pytest.fixture(params=[True, False], ids=["counts", "does not count"])
def archive(request):
    with Archive(counts=request.param) as archive:
        yield archive


def test_series_and_images_of_a_study_are_counted_also_where_the_archive_does_not_count(archive, tmp_path):
    study, paths = small_study(tmp_path / "study", 5)
    _, others = small_study(tmp_path / "other", 2)
    deliver([*paths, *others], archive.pacs(), "LNC")
    (series,) = find_series(archive.pacs(), "LNC", study)
    assert (series.modality, series.images) == ("MR", 5)
    found = find_images(archive.pacs(), "LNC", study, [series.uid, "1.2.3"])
    assert {uid: len(images) for uid, images in found.items()} == {series.uid: 5, "1.2.3": 0}


def test_a_study_that_the_archive_does_not_have_has_no_series(archive):
    assert find_series(archive.pacs(), "LNC", generate_uid()) == ()


def test_an_archive_that_does_not_answer_queries_is_no_empty_archive():
    ae = AE(ae_title="P")
    ae.add_supported_context(MRImageStorage)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    pacs = Pacs(host="127.0.0.1", port=server.server_address[1], ae_title="P", timeout_s=2)
    with pytest.raises(PacsUnreachable):
        find_series(pacs, "LNC", "1.2.3")
    ae.shutdown()
