import dataclasses
import math

import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.measure.gates import FOUND, VOLUME
from lnc_dicom.measure.volumetry import asymmetry, asymmetry_index, measure, usable_labels, with_statistics
from lnc_dicom.quantities import Quantity
from lnc_dicom.types import AlignedMap, Confidence, QuantityMap, Segmented, Statistic
from tests.factories import BoxSegmenter, head


def _volume(array, lps_mm):
    return hd.Volume(array, lps_mm, coordinate_system="PATIENT", frame_of_reference_uid="1.2.3")


SURE = {s.label: Confidence(0.9, volume_error=math.log(1.25)) for s in STRUCTURES}


def _with_voxels(label, count, shape=(40, 40, 40), spacing_mm=(1.0, 1.0, 1.0)):
    array = np.zeros(shape, np.uint8)
    inner = np.argwhere(np.ones(shape))
    inner = inner[((inner > 0) & (inner < np.array(shape) - 1)).all(axis=1)][:count]
    array[tuple(inner.T)] = label
    return Segmented(_volume(array, np.diag([*spacing_mm, 1.0])), SURE)


def test_a_volume_is_the_number_of_voxels_times_their_size():
    caudate = measure(_with_voxels(1, 1000, spacing_mm=(2.0, 1.5, 1.0)))[0]
    assert caudate.voxels == 1000
    assert caudate.volume_ml == pytest.approx(3.0)
    assert caudate.passed


def test_the_width_of_the_interval_is_that_of_the_calibration():
    caudate = measure(_with_voxels(1, 3000))[0]
    assert caudate.interval_ml == pytest.approx((2.4, 3.75))


def test_without_calibration_there_is_no_interval():
    found = _with_voxels(1, 3000)
    assert measure(Segmented(found.labels, {1: Confidence(0.9)}))[0].interval_ml is None


def test_every_structure_is_reported_even_if_not_found():
    measurements = measure(_with_voxels(3, 4000))
    assert [m.structure for m in measurements] == list(STRUCTURES)
    absent = [m for m in measurements if m.structure.label != 3]
    assert all(m.volume_ml == 0 and m.failure.code == FOUND.code for m in absent)


def test_an_impossible_volume_fails():
    assert measure(_with_voxels(5, 100))[4].failure.code == VOLUME.code


def test_flipping_the_head_changes_no_volume():
    array, lps_mm = head((96, 96, 96), (1.6, 1.6, 1.6))
    volume = _volume(array, lps_mm)
    plain = measure(BoxSegmenter()(volume))
    flipped = measure(BoxSegmenter()(volume.flip_spatial(0).flip_spatial(2)))
    assert [m.voxels for m in plain] == [m.voxels for m in flipped]
    assert all(m.passed for m in plain)


def test_labels_must_be_uint8_and_cannot_be_changed():
    segmented = _with_voxels(1, 10)
    with pytest.raises(ValueError, match="read-only"):
        segmented.labels.array[0, 0, 0] = 1
    with pytest.raises(TypeError):
        Segmented(segmented.labels.astype(np.int16), {})


def test_asymmetry_is_the_difference_over_the_mean_and_undefined_below_0():
    assert asymmetry_index(3.0, 1.0) == pytest.approx(1.0)
    assert asymmetry_index(1.0, 3.0) == pytest.approx(-1.0)
    assert asymmetry_index(-2.0, 1.0) is None
    assert asymmetry_index(-0.9, 1.0) is None


def _measured_head():
    array, lps_mm = head((96, 96, 96), (1.6, 1.6, 1.6))
    return measure(BoxSegmenter()(_volume(array, lps_mm)))


def _fa(means):
    volume = _volume(np.zeros((2, 2, 2), np.float32), np.eye(4))
    statistics = {label: Statistic(mean, 0.1, mean, 20) for label, mean in means.items()}
    return AlignedMap(QuantityMap(Quantity.FA, volume, volume, "made up", ()), np.eye(4), statistics=statistics)


def test_statistics_of_a_map_go_to_their_structures_and_to_none_that_failed():
    whole = _measured_head()
    failed = (dataclasses.replace(whole[0], checks=(FOUND.check(0),)), *whole[1:])
    measured = with_statistics(failed, [_fa({1: 0.2, 2: 0.3})])
    assert measured[0].statistics == {}
    assert measured[1].statistics[Quantity.FA].mean == 0.3
    assert all(not m.statistics for m in measured[2:])
    assert usable_labels(failed) == {m.structure.label for m in whole[1:]}


def test_the_asymmetry_of_a_quantity_is_that_of_its_means():
    measured = with_statistics(_measured_head(), [_fa({1: 0.3, 2: 0.1})])
    (caudate,) = [row for row in asymmetry(measured) if row.name == measured[0].structure.name]
    assert caudate.quantities == {Quantity.FA: pytest.approx(1.0)}
    assert caudate.volume == pytest.approx(0.0)
