"""Shared fixtures: real data where it is, strict writing, and a segmenter that is loaded once."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pydicom.config
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
DATA = ROOT.parent / "shared" / "data"
IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(autouse=True)
def _strict_writing(monkeypatch):
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.RAISE)


@pytest.fixture(autouse=True)
def _logging_as_before():
    """Undo what a command does to the loggers of this process: the next test may look at them."""
    loggers = [logging.getLogger(name) for name in ("", "lnc", "dbos", "pydicom", "highdicom", "pynetdicom")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, level, propagate in before:
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture(scope="session")
def data():
    """Folder with real heads; none of it is in the repository."""
    if not DATA.is_dir():
        _skip("../shared/data is not there")
    return DATA


@pytest.fixture(scope="session")
def segmenter():
    from lnc_dicom.segment.load import load_segmenter

    return load_segmenter()


@pytest.fixture(scope="session")
def program():
    """Path of a program of Debian's; the test is skipped where it is missing, and fails in CI."""
    from lnc_service.validate.main import find_program

    def find(name):
        path = find_program(name)  # Debian's first: pynetdicom installs a storescu of its own beside the interpreter
        if path is None:
            _skip(f"{name} is not installed (make peers)")
        return path

    return find


def _skip(reason):
    if IN_CI:
        pytest.fail(f"must not be skipped in CI: {reason}")
    pytest.skip(reason)
