import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import Implausible
from lnc_dicom.maps.regional import FEW_VOXELS, NO_VOXELS, believable, measure_map, structure_shares
from lnc_dicom.measure.gates import VOXELS_OF_MAP
from lnc_dicom.options import MapsOptions
from lnc_dicom.quantities import Quantity
from lnc_dicom.types import AlignedMap, QuantityMap, Segmented, Statistic
from tests.factories import POSE, BoxSegmenter, head

ALL = frozenset(s.label for s in STRUCTURES)


def _segmented(shape=(80, 84, 110), spacing_mm=(1.0, 1.0, 1.5)):
    array, lps_mm = head(shape, spacing_mm)
    return BoxSegmenter()(hd.Volume(array, lps_mm, "PATIENT"))


def _grid(segmented, spacing_mm):
    labels = segmented.labels
    extent = np.array(labels.shape) * labels.spacing
    shape = tuple(int(n) for n in np.ceil(extent / spacing_mm))
    lps_mm = np.diag([*spacing_mm, 1.0])
    corner = labels.affine[:3, 3] - np.array(labels.spacing) / 2
    lps_mm[:3, 3] = corner + np.array(spacing_mm) / 2
    return shape, lps_mm


def _aligned(values, lps_mm, quantity=Quantity.RELATIVE_CBF, to_map_mm=None):
    volume = hd.Volume(np.asarray(values, np.float32), lps_mm, "PATIENT")
    return AlignedMap(
        QuantityMap(quantity, volume, volume, "made up", ()), np.eye(4) if to_map_mm is None else to_map_mm
    )


def test_shares_of_a_structure_sum_up_to_its_volume():
    segmented = _segmented()
    shape, lps_mm = _grid(segmented, (2.5, 2.5, 4.0))
    shares = structure_shares(_aligned(np.zeros(shape), lps_mm), segmented.labels)
    counts = np.bincount(segmented.labels.array.ravel(), minlength=len(STRUCTURES) + 1)
    for s in STRUCTURES:
        volume = shares[s.label][1].sum() * 2.5 * 2.5 * 4.0
        assert volume == pytest.approx(counts[s.label] * segmented.labels.voxel_volume, rel=0.06)


def test_voxels_that_touch_a_neighbour_do_not_change_the_mean_of_a_structure():
    """Partial volume at the borders would pull the means to the background, 1000."""
    segmented = _segmented()
    shape, lps_mm = _grid(segmented, (2.0, 2.0, 2.0))
    index = np.indices(shape).reshape(3, -1)
    place = np.rint(
        (segmented.labels.inverse_affine @ lps_mm)[:3, :3] @ index + (segmented.labels.inverse_affine @ lps_mm)[:3, 3:]
    ).astype(int)
    place = np.clip(place, 0, np.array(segmented.labels.shape)[:, None] - 1)
    found = segmented.labels.array[tuple(place)].astype(float)
    values = np.where(found > 0, 100 + found, 1000).reshape(shape)
    measured = measure_map(_aligned(values, lps_mm), segmented, ALL, MapsOptions())
    for s in STRUCTURES:
        statistic = measured.statistics[s.label]
        assert statistic.mean == pytest.approx(100 + s.label)
        assert statistic.median == pytest.approx(100 + s.label)
        assert statistic.sd == pytest.approx(0, abs=1e-4)


def test_structures_are_found_in_the_map_through_the_alignment():
    segmented = _segmented()
    shape, lps_mm = _grid(segmented, (2.0, 2.0, 2.0))
    moved = np.eye(4)
    moved[:3, 3] = [6, -4, 8]
    plain = structure_shares(_aligned(np.zeros(shape), lps_mm), segmented.labels)
    shifted = structure_shares(_aligned(np.zeros(shape), moved @ lps_mm, to_map_mm=moved), segmented.labels)
    for s in STRUCTURES:
        assert np.array_equal(plain[s.label][0], shifted[s.label][0])


def test_coarse_voxels_are_used_with_a_caveat_and_a_structure_without_any_is_named():
    segmented = _segmented()
    shape, lps_mm = _grid(segmented, (6.0, 6.0, 8.0))
    values = np.full(shape, 50.0)
    values[np.indices(shape)[2] > shape[2] // 2] = np.nan
    measured = measure_map(_aligned(values, lps_mm), segmented, ALL, MapsOptions())
    assert {c.code for c in measured.caveats} == {FEW_VOXELS, NO_VOXELS, VOXELS_OF_MAP.code}
    assert len(measured.statistics) < len(STRUCTURES)


def test_a_structure_that_failed_is_not_measured():
    segmented = _segmented()
    shape, lps_mm = _grid(segmented, (2.0, 2.0, 2.0))
    measured = measure_map(_aligned(np.ones(shape), lps_mm), segmented, ALL - {3}, MapsOptions())
    assert set(measured.statistics) == ALL - {3}


@pytest.mark.parametrize(("quantity", "value"), [(Quantity.FA, 0.4), (Quantity.CBF, 1.0), (Quantity.CBF, 900.0)])
def test_a_map_with_implausible_values_is_refused(quantity, value):
    segmented = _segmented()
    shape, lps_mm = _grid(segmented, (2.0, 2.0, 2.0))
    with pytest.raises(Implausible):
        measure_map(_aligned(np.full(shape, value), lps_mm, quantity), segmented, ALL, MapsOptions())


def test_labels_without_a_structure_give_no_statistics():
    segmented = _segmented()
    empty = Segmented(segmented.labels.with_array(np.zeros(segmented.labels.shape, np.uint8)), {}, POSE)
    shape, lps_mm = _grid(segmented, (2.0, 2.0, 2.0))
    assert measure_map(_aligned(np.ones(shape), lps_mm), empty, ALL, MapsOptions()).statistics == {}


BY_NAME = {(s.name, s.side.value): s.label for s in STRUCTURES}
LEFT, RIGHT = BY_NAME["accumbens", "left"], BY_NAME["accumbens", "right"]
FLUID = BY_NAME["lateral ventricle", "left"]


@pytest.mark.parametrize(
    ("quantity", "found", "code"),
    [
        (Quantity.CBF, {LEFT: Statistic(40, 0, 40, 1)}, "LNC-436"),
        (Quantity.CBF, {LEFT: Statistic(-32, 5, -32, 9)}, "LNC-437"),
        (Quantity.RELATIVE_CBF, {LEFT: Statistic(-608, 5, -608, 9)}, "LNC-437"),
        (Quantity.FA, {FLUID: Statistic(0.4, 0.1, 0.4, 100)}, "LNC-528"),
        (Quantity.CBF, {LEFT: Statistic(20, 40, 20, 50)}, "LNC-439"),
        (Quantity.FA, {LEFT: Statistic(0.19, 0.1, 0.2, 50, 11.0, 0.2)}, "LNC-433"),
        (Quantity.CBF, {LEFT: Statistic(20, 5, 20, 50), RIGHT: Statistic(40, 5, 40, 50)}, "LNC-438"),
    ],
)
def test_a_number_that_no_brain_has_is_not_given_and_the_caveat_names_number_and_limit(quantity, found, code):
    sound = {BY_NAME["thalamus", "left"]: Statistic(0.5, 0.1, 0.5, 100, 30.0, 0.1)}
    given, caveats = believable(quantity, {**sound, **found})
    assert given == sound
    assert [c.code for c in caveats] == [code]
    assert "(at " in caveats[0].text


def test_numbers_of_a_healthy_head_are_all_given():
    sound = {s.label: Statistic(0.2, 0.1, 0.2, 30, 28.0, 0.11) for s in STRUCTURES}
    assert believable(Quantity.FA, sound) == (sound, ())


def test_fluid_without_flow_is_given():
    fluid = {FLUID: Statistic(-0.5, 10, 0, 200)}
    assert believable(Quantity.CBF, fluid) == (fluid, ())
