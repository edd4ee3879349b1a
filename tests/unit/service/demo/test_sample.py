from datetime import UTC, datetime

import highdicom as hd
import numpy as np
import pytest

from lnc_service.demo.sample import mr_series

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_series_gives_back_the_volume_that_it_was_made_from(mirrored):
    array = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    lps_mm = np.array([[0, 0, -0.9, 3], [0, 1.1, 0, -7], [1.2, 0, 0, 5], [0, 0, 0, 1.0]])
    if mirrored:
        lps_mm[:, 2] *= -1
    found = hd.get_volume_from_series(list(mr_series(array, lps_mm, MADE)), dtype=np.float32)
    back_mm = np.linalg.inv(found.affine)
    for index in np.ndindex(array.shape):
        at = tuple(np.round(back_mm @ lps_mm @ [*index, 1]).astype(int)[:3])
        assert found.array[at] == np.round(array[index] * 4000 / array.max())


def test_slices_share_a_series_and_differ_in_their_place_and_uid():
    datasets = list(mr_series(np.ones((3, 4, 4), np.float32), np.eye(4), MADE, patient="A^B", study_uid="1.2.3"))
    assert {str(d.StudyInstanceUID) for d in datasets} == {"1.2.3"}
    assert len({d.SeriesInstanceUID for d in datasets}) == 1
    assert len({d.SOPInstanceUID for d in datasets}) == len({tuple(d.ImagePositionPatient) for d in datasets}) == 3
    assert {(str(d.PatientName), d.StudyDate, d.StudyTime) for d in datasets} == {("A^B", "20260102", "030405")}


def test_an_empty_volume_is_written_as_zeros():
    (dataset,) = mr_series(np.zeros((1, 4, 4), np.float32), np.eye(4), MADE)
    assert not dataset.pixel_array.any()
