import dataclasses

import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.segment.evaluate.perturbations import PERTURBATIONS, Head
from tests.factories import boxes, head

BY_NAME = {f"{e.name}, {e.setting}": e for e in PERTURBATIONS}


@pytest.fixture(scope="module")
def a_head():
    array, lps_mm = head((64, 72, 96), (1.6, 1.6, 1.6))
    brain = array > 0.3
    array[:3, :10] = 0.9  # fat
    volume = hd.Volume(array, lps_mm, coordinate_system="PATIENT")
    ventricles = np.zeros(array.shape, bool)
    for s, inside in boxes(array.shape, lps_mm):
        if s.name == "lateral ventricle":
            ventricles |= inside
    return Head(volume, brain, ventricles, 0.1, 0.7, 1.0)


def test_every_kind_of_perturbation_is_in_the_table():
    assert {e.name for e in PERTURBATIONS} == {
        *("slice thickness", "in-plane", "rotation", "position", "noise", "bias field", "contrast", "skull"),
        *("field of view", "ghosting", "fat", "gadolinium", "ventricles", "grid", "test-retest"),
    }


def test_a_thick_slice_keeps_place_extent_and_mean(a_head):
    thick, _ = BY_NAME["slice thickness, 4 mm axial"].apply(a_head)
    assert thick.spacing == pytest.approx((1.6, 1.6, 4.0))
    low, high = (np.array(thick.affine @ [0, 0, k, 1])[2] for k in (-0.5, thick.shape[2] - 0.5))
    before = [np.array(a_head.volume.affine @ [0, 0, k, 1])[2] for k in (-0.5, 95.5)]
    assert (low, high) == pytest.approx(before, abs=4)
    assert thick.array.mean() == pytest.approx(a_head.array.mean(), rel=0.05)


@pytest.mark.parametrize("axis", ["L", "P", "S"])
def test_a_turned_head_maps_its_points_to_where_they_were(a_head, axis):
    turned, before = BY_NAME[f"rotation, 20° about {axis}"].apply(a_head)
    index = np.array([[30, 40, 50], [25, 30, 44]])
    points = index @ turned.affine[:3, :3].T + turned.affine[:3, 3]
    back = a_head.volume.inverse_affine
    was = np.rint(before(points) @ back[:3, :3].T + back[:3, 3]).astype(int)
    for now, old in zip(index, was, strict=True):
        assert turned.array[tuple(now)] == pytest.approx(a_head.array[tuple(old)], abs=0.15)


def test_another_storage_order_is_the_same_head(a_head):
    for position in ("prone", "decubitus"):
        stored, _ = BY_NAME[f"position, {position}"].apply(a_head)
        assert not np.array_equal(stored.affine, a_head.volume.affine)
        again = stored.match_geometry(a_head.volume)
        np.testing.assert_array_equal(again.array, a_head.array)


def test_noise_has_the_stated_signal_to_noise_ratio(a_head):
    bright = dataclasses.replace(a_head, volume=a_head.with_array(np.full(a_head.array.shape, 1.0)))
    noisy, _ = BY_NAME["noise, SNR 8"].apply(bright)
    assert noisy.array.std() == pytest.approx(1 / 8, rel=0.05)


def test_the_bias_field_spans_the_stated_range_within_the_brain(a_head):
    biased, _ = BY_NAME["bias field, ±40 %"].apply(a_head)
    ratio = (biased.array / np.maximum(a_head.array, 1e-6))[a_head.brain]
    assert (ratio.min(), ratio.max()) == pytest.approx((0.6, 1.4), abs=0.01)


def test_ventricles_grow_by_the_stated_factor_and_so_do_their_labels(a_head):
    wide, before = BY_NAME["ventricles, 3 times their volume"].apply(a_head)
    index = np.indices(a_head.array.shape).reshape(3, -1)
    points = (a_head.volume.affine[:3, :3] @ index + a_head.volume.affine[:3, 3:]).T
    back = a_head.volume.inverse_affine
    was = np.rint(back[:3, :3] @ before(points).T + back[:3, 3:]).astype(int)
    was = np.clip(was, 0, np.array(a_head.array.shape)[:, None] - 1)
    resampled = a_head.ventricles[tuple(was)].sum()
    assert resampled == pytest.approx(3 * a_head.ventricles.sum(), rel=0.15)
    assert (wide.array < 0.15).sum() > (a_head.array < 0.15).sum() + a_head.ventricles.sum()


@pytest.mark.parametrize(
    "name", [n for n in BY_NAME if n.split(",")[0] in {"contrast", "ghosting", "fat", "gadolinium"}]
)
def test_every_other_perturbation_changes_the_image_and_keeps_the_grid(a_head, name):
    perturbed, before = BY_NAME[name].apply(a_head)
    assert before is None
    np.testing.assert_array_equal(perturbed.affine, a_head.volume.affine)
    assert np.isfinite(perturbed.array).all()
    assert np.abs(perturbed.array - a_head.array).max() > 0.01


def test_white_matter_of_a_child_is_hardly_brighter_than_grey(a_head):
    child, _ = BY_NAME["contrast, child"].apply(a_head)
    values = {round(float(a), 1): float(b) for a, b in zip(a_head.array.flat, child.array.flat, strict=True)}
    assert values[0.7] == pytest.approx(0.9, abs=0.05)
    assert values[1.0] == pytest.approx(1.0, abs=0.05)


def test_no_two_repeats_are_equal(a_head):
    first, second = (BY_NAME[f"test-retest, repeat {i}"].apply(a_head)[0].array for i in (1, 2))
    assert not np.array_equal(first, second)
