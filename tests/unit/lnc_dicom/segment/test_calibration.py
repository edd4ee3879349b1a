import numpy as np
import pytest
import torch

from lnc_dicom.segment.calibration import VolumeCalibration, load_calibration, pool_features, save_calibration
from lnc_dicom.segment.load import WEIGHTS


@pytest.fixture
def calibration():
    points = {1: np.array([1.0, 2.0, 3.0]), 2: np.array([-1.0, 2.0, 3.0])}
    return VolumeCalibration(points, np.array([1.0, 2.0]), np.array([0.5, 2.0]), {"caudate": 0.8}, {"caudate": 0.9}, 60)


def test_a_calibration_comes_back_as_it_was_saved(calibration, tmp_path):
    save_calibration(tmp_path, calibration)
    again = load_calibration(tmp_path)
    assert (again.volume_error, again.coverage, again.images) == ({"caudate": 0.8}, {"caudate": 0.9}, 60)
    for label, point in calibration.constellation_mm.items():
        np.testing.assert_array_equal(again.constellation_mm[label], point)


def test_the_feature_distance_is_the_root_mean_square_of_the_z_scores(calibration):
    assert calibration.feature_distance(np.array([1.0, 2.0])) == 0
    assert calibration.feature_distance(np.array([2.5, -6.0])) == pytest.approx(np.sqrt((3**2 + 4**2) / 2))


def test_features_are_the_means_and_then_the_sds_of_the_channels():
    bottleneck = torch.stack([torch.full((2, 2, 2), 3.0), torch.arange(8.0).reshape(2, 2, 2)])[None]
    assert pool_features(bottleneck) == pytest.approx([3, 3.5, 0, np.std(np.arange(8), ddof=1)])


def test_nothing_in_a_loaded_calibration_can_be_changed():
    released = load_calibration(WEIGHTS)
    with pytest.raises(TypeError):
        released.volume_error["caudate"] = 0.0
    with pytest.raises(TypeError):
        released.constellation_mm[1] = np.zeros(3)
    with pytest.raises(ValueError, match="read-only"):
        released.feature_sd[0] = 0
