import numpy as np
import pytest

from lnc_dicom.segment.train.consensus import soft_labels, volume_weights, weighted_argmax

SPACING_MM = (1.0, 1.0, 1.0)


def _labels():
    """A ball (left pallidum) inside a larger ball (left putamen)."""
    away = ((np.indices((40, 40, 40)) - 20) ** 2).sum(0) ** 0.5
    return np.select([away < 7, away < 12], [5, 3], 0).astype(np.uint8)


def test_soft_labels_sum_to_one_and_keep_the_labels():
    labels = _labels()
    soft = soft_labels(labels, SPACING_MM)
    np.testing.assert_allclose(soft.sum(0), 1, atol=1e-5)
    found = weighted_argmax(soft, {})
    assert (found == labels).mean() > 0.98


def test_weights_bring_every_volume_to_its_target():
    soft = soft_labels(_labels(), SPACING_MM)
    wanted = {"pallidum": 0.4 * (_labels() == 5).sum() / 1000, "putamen": 0.55 * (_labels() == 3).sum() / 1000}
    weights = volume_weights(soft, wanted, SPACING_MM)
    found = weighted_argmax(soft, weights)
    assert (found == 3).sum() / 2000 == pytest.approx(wanted["putamen"], rel=0.1)
    assert (found == 5).sum() / 2000 == pytest.approx(wanted["pallidum"], rel=0.1)
    assert weights["pallidum"] < 1
