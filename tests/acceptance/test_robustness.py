"""A perturbed real head: how far its volumes may change. The whole table is in docs/measurements.md."""

import pytest

from lnc_dicom.segment.evaluate.metrics import read_pair
from lnc_dicom.segment.evaluate.perturbations import PERTURBATIONS
from lnc_dicom.segment.evaluate.robustness import describe, run_perturbations

THICK = tuple(f"3 mm {plane}" for plane in ("sagittal", "coronal", "axial"))
CHOSEN = (*THICK, "30° about P", "decubitus", "repeat 1", "repeat 2")
MAX_CHANGE = 0.08
MAX_REPEAT_CHANGE = {"pallidum": 0.04}
MAX_OTHER_REPEAT_CHANGE = 0.02
SMALL = ("accumbens",)
MISSED = ("3 mm axial",)
"""-11.8 % for the accumbens: two to three slices of it."""


@pytest.fixture(scope="module")
def results(data, segmenter):
    head = describe(*read_pair(data / "labelled" / "t1.nii.gz", data / "labelled" / "aparc+aseg.nii.gz"))
    chosen = [p for p in PERTURBATIONS if p.setting in CHOSEN]
    return {r.setting: r for r in run_perturbations(segmenter, head, lambda *_: None, chosen)}


@pytest.mark.parametrize("setting", THICK)
def test_slices_of_three_millimetres_change_no_volume_by_more_than_eight_per_cent(results, setting):
    change = {name: c for name, c in results[setting].volume_change.items() if name not in SMALL}
    assert {name: abs(c) <= MAX_CHANGE for name, c in change.items()} == dict.fromkeys(change, True), change


def _promise(setting):
    marks = pytest.mark.xfail(strict=True, reason="missed target, see docs/measurements.md")
    return pytest.param(setting, marks=marks if setting in MISSED else ())


@pytest.mark.parametrize("setting", map(_promise, THICK))
def test_slices_of_three_millimetres_change_the_accumbens_by_no_more_than_eight_per_cent(results, setting):
    assert abs(results[setting].volume_change["accumbens"]) <= MAX_CHANGE


@pytest.mark.parametrize("setting", ["repeat 1", "repeat 2"])
def test_the_same_head_again_gives_the_same_volumes(results, setting):
    change = {name: c for name, c in results[setting].volume_change.items() if name not in SMALL}
    kept = {name: abs(c) <= MAX_REPEAT_CHANGE.get(name, MAX_OTHER_REPEAT_CHANGE) for name, c in change.items()}
    assert kept == dict.fromkeys(change, True), change


def test_a_head_turned_by_thirty_degrees_is_segmented_as_before(results):
    assert min(results["30° about P"].dice.values()) > 0.85


def test_another_storage_order_changes_nothing(results):
    assert results["decubitus"].dice == dict.fromkeys(results["decubitus"].dice, 1.0)
