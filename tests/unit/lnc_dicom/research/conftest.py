"""A small head whose structures are boxes, as file and as DICOM; no network is needed."""

import nibabel as nib
import numpy as np
import pytest

from lnc_dicom.research import measure
from tests.factories import BoxSegmenter, head, layout, write_series

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(autouse=True)
def _boxes(monkeypatch):
    monkeypatch.setattr(measure, "_segmenter", lambda *_: BoxSegmenter())


@pytest.fixture
def image():
    array, lps_mm = head()
    return nib.Nifti1Image(array.astype(np.float32), TO_RAS @ lps_mm)


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    write_series(folder, *layout(*head(), (2, 1, 0), (1, 1, 1)))
    return folder
