import numpy as np
import pytest

from lnc_dicom.errors import UnpairedVolumes, UnreadableSeries
from lnc_dicom.maps.asl_volumes import Context, volumes
from lnc_dicom.study.load import load
from lnc_dicom.study.read import read_study
from lnc_dicom.types import Series
from tests.factories import head, layout, write_series


def _series(tmp_path, repeats=1, change=lambda dataset: None):
    array, lps_mm = head(shape=(20, 24, 28))
    array, lps_mm = layout(array, lps_mm, (2, 1, 0), (1, 1, -1))
    for n in range(repeats):

        def mark(dataset, n=n):
            dataset.TemporalPositionIdentifier = n + 1
            dataset.SeriesInstanceUID = "1.2.3"
            change(dataset)

        write_series(tmp_path / str(n), array * (n + 1), lps_mm, study_uid="1.2.4", change=mark)
    (series,) = read_study([tmp_path]).series
    return series


def test_a_single_volume_is_what_the_t1_reader_gives(tmp_path):
    series = _series(tmp_path)
    (found,) = volumes(series)
    volume, _ = load(series)
    back = volume.inverse_affine @ found.volume.affine
    index = np.indices(found.volume.shape).reshape(3, -1)
    place = np.rint(back[:3, :3] @ index + back[:3, 3:]).astype(int)
    assert np.allclose(volume.array[tuple(place)], found.volume.array.ravel())


def test_control_label_and_m0_of_real_series_are_those_of_the_header(data):
    expected = {
        "siemens-xa30-enhanced/25_asl_2d_tra": [Context.M0, *3 * [Context.LABEL, Context.CONTROL]],
        "philips-ingenia-3t/pcasl-source": 3 * [Context.CONTROL, Context.LABEL],
    }
    for name, contexts in expected.items():
        (series,) = read_study([data / name]).series
        assert [v.context for v in volumes(series)] == contexts


def test_volumes_with_a_missing_image_are_refused(tmp_path):
    series = _series(tmp_path, repeats=2)
    with pytest.raises(UnpairedVolumes):
        volumes(Series(series.uid, series.instances[1:]))


def test_images_that_cannot_be_decoded_are_refused_by_code(tmp_path):
    def cut(dataset):
        dataset.PixelData = dataset.PixelData[:-2]

    series = _series(tmp_path, change=cut)
    with pytest.raises(UnreadableSeries):
        volumes(series)
