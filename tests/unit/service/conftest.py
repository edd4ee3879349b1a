"""Results of a small head, as they lie in the spool; an engine that runs jobs."""

import os

import pytest
from dbos import DBOS

from lnc_dicom import pipeline
from lnc_dicom.options import Options
from lnc_dicom.outputs import Output
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from lnc_service.engine import launch_engine
from lnc_service.settings import Settings
from tests.factories import NOW, BoxSegmenter, write_series


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Folder with a SEG, an SR and a label map of the same head; tests do not write into it."""
    folder = tmp_path_factory.mktemp("results")
    write_series(folder / "study")
    options = Options(objects=(Output.SEG, Output.SR, Output.LABELMAP))
    _, objects = pipeline.process(read_study([folder / "study"]), Tools(BoxSegmenter(), NOW, options=options))
    for item in objects:
        (folder / item.name).write_bytes(item.data)
    return folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """One engine for all tests of a module; each of them runs a job of its own."""
    folder = tmp_path_factory.mktemp("engine")
    launch_engine(Settings(spool=folder, pacs={"host": "x", "ae_title": "PACS"}), f"test-{os.getpid()}")
    yield folder
    DBOS.destroy()
