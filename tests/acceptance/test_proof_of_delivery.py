"""Delivered is proved: Orthanc commits itself on an association of its own and shows what it stored."""

import json
from contextlib import contextmanager

import pytest

from lnc_service.states import JobState
from tests.acceptance.conftest import Service, lnc, wait_for
from tests.acceptance.service_peers import small_study
from tests.acceptance.service_stub import FILES, PROGRAM


@contextmanager
def _serving(folder, port, title, *settings):
    service = Service(folder, port, PROGRAM, title=title, quiet_s=1)
    service.config.write_text(service.config.read_text().replace("[pacs]\n", "\n".join(["[pacs]", *settings, ""])))
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.mark.slow
def test_orthanc_commits_itself_and_shows_what_it_stored(tmp_path, program, orthanc):
    orthanc.start()
    with _serving(tmp_path, orthanc.dicom_port, "ORTHANC", "commitment = true", "read_back = true") as service:
        orthanc.know(service.port)
        service.send(program("storescu"), *small_study(tmp_path / "study")[1])
        (job,) = wait_for(lambda: service.finished(1), 60)
        assert job.state is JobState.DONE
        (delivery,) = job.deliveries
        assert (delivery.stored, delivery.committed, delivery.seen) == (len(FILES),) * 3
        listed = json.loads(lnc("jobs", "list", "--json", "--config", service.config).stdout)
        assert (listed["deliveries"][0]["committed"], listed["deliveries"][0]["seen"]) == (3, 3)
        assert not list((service.spool / "commitments").iterdir())
