import dataclasses

import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.segment.evaluate.perturbations import EXPERIMENTS, Head
from tests.factories import boxes, head

BY_NAME = {f"{e.name}, {e.setting}": e for e in EXPERIMENTS}


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


def test_the_issue_s_list_is_covered():
    assert {e.name for e in EXPERIMENTS} == {
        *("slice thickness", "in-plane", "rotation", "position", "noise", "bias field", "contrast", "skull"),
        *("field of view", "ghosting", "fat", "gadolinium", "ventricles", "grid", "again"),
    }


def test_a_thick_slice_keeps_place_extent_and_mean(a_head):
    thick, _ = BY_NAME["slice thickness, 4 mm axial"].spoil(a_head)
    assert thick.spacing == pytest.approx((1.6, 1.6, 4.0))
    low, high = (np.array(thick.affine @ [0, 0, k, 1])[2] for k in (-0.5, thick.shape[2] - 0.5))
    before = [np.array(a_head.volume.affine @ [0, 0, k, 1])[2] for k in (-0.5, 95.5)]
    assert (low, high) == pytest.approx(before, abs=4)
    assert thick.array.mean() == pytest.approx(a_head.array.mean(), rel=0.05)


@pytest.mark.parametrize("axis", ["L", "P", "S"])
def test_a_turned_head_says_where_its_points_were(a_head, axis):
    turned, before = BY_NAME[f"rotation, 20° about {axis}"].spoil(a_head)
    index = np.array([[30, 40, 50], [25, 30, 44]])
    points = index @ turned.affine[:3, :3].T + turned.affine[:3, 3]
    back = a_head.volume.inverse_affine
    was = np.rint(before(points) @ back[:3, :3].T + back[:3, 3]).astype(int)
    for now, old in zip(index, was, strict=True):
        assert turned.array[tuple(now)] == pytest.approx(a_head.array[tuple(old)], abs=0.15)


def test_another_storage_order_is_the_same_head(a_head):
    for position in ("prone", "decubitus"):
        stored, _ = BY_NAME[f"position, {position}"].spoil(a_head)
        assert not np.array_equal(stored.affine, a_head.volume.affine)
        again = stored.match_geometry(a_head.volume)
        np.testing.assert_array_equal(again.array, a_head.array)


def test_noise_has_the_ratio_that_it_says(a_head):
    bright = dataclasses.replace(a_head, volume=a_head.with_array(np.full(a_head.array.shape, 1.0)))
    noisy, _ = BY_NAME["noise, SNR 8"].spoil(bright)
    assert noisy.array.std() == pytest.approx(1 / 8, rel=0.05)


def test_the_bias_field_spans_what_it_says_within_the_brain(a_head):
    biased, _ = BY_NAME["bias field, ±40 %"].spoil(a_head)
    ratio = (biased.array / np.maximum(a_head.array, 1e-6))[a_head.brain]
    assert (ratio.min(), ratio.max()) == pytest.approx((0.6, 1.4), abs=0.01)


def test_ventricles_become_as_large_as_they_should_and_bring_their_labels_along(a_head):
    wide, before = BY_NAME["ventricles, 3 times their volume"].spoil(a_head)
    index = np.indices(a_head.array.shape).reshape(3, -1)
    points = (a_head.volume.affine[:3, :3] @ index + a_head.volume.affine[:3, 3:]).T
    back = a_head.volume.inverse_affine
    was = np.rint(back[:3, :3] @ before(points).T + back[:3, 3:]).astype(int)
    was = np.clip(was, 0, np.array(a_head.array.shape)[:, None] - 1)
    brought = a_head.ventricles[tuple(was)].sum()
    assert brought == pytest.approx(3 * a_head.ventricles.sum(), rel=0.15)
    assert (wide.array < 0.15).sum() > (a_head.array < 0.15).sum() + a_head.ventricles.sum()


@pytest.mark.parametrize(
    "name", [n for n in BY_NAME if n.split(",")[0] in {"contrast", "ghosting", "fat", "gadolinium"}]
)
def test_every_other_experiment_changes_the_image_and_keeps_the_grid(a_head, name):
    spoiled, before = BY_NAME[name].spoil(a_head)
    assert before is None
    np.testing.assert_array_equal(spoiled.affine, a_head.volume.affine)
    assert np.isfinite(spoiled.array).all()
    assert np.abs(spoiled.array - a_head.array).max() > 0.01


def test_a_child_s_white_matter_is_hardly_brighter_than_grey(a_head):
    child, _ = BY_NAME["contrast, child"].spoil(a_head)
    values = {round(float(a), 1): float(b) for a, b in zip(a_head.array.flat, child.array.flat, strict=True)}
    assert values[0.7] == pytest.approx(0.9, abs=0.05)
    assert values[1.0] == pytest.approx(1.0, abs=0.05)


def test_repeats_differ(a_head):
    first, second = (BY_NAME[f"again, repeat {i}"].spoil(a_head)[0].array for i in (1, 2))
    assert not np.array_equal(first, second)
