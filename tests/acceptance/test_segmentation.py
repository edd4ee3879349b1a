"""Accuracy of the release against labels of experts, and of FreeSurfer on a head held out of the training."""

import pytest

from benchmarks.labels import labelled
from lnc_dicom.segment.evaluate.metrics import compare, mean_of_sides

REQUIRED = {
    ("template (mage)", "striatum"): 0.90,
    ("template (mage)", "pallidum"): 0.83,
    ("template (mage)", "thalamus"): 0.90,
    ("template (xiao)", "accumbens"): 0.70,
    ("Eve", "caudate"): 0.90,
    ("Eve", "putamen"): 0.85,
    ("Eve", "pallidum"): 0.78,
    ("Eve", "thalamus"): 0.88,
    ("Eve", "internal capsule"): 0.75,
    ("fstd-08", "caudate"): 0.90,
    ("fstd-08", "putamen"): 0.87,
    ("fstd-08", "pallidum"): 0.76,
    ("fstd-08", "thalamus"): 0.90,
    ("fstd-08", "accumbens"): 0.74,
    ("fstd-08", "lateral ventricle"): 0.89,
}
"""Dice, mean of left and right; fstd-08 is held out of the training."""
FLOORS = {
    ("template (mage)", "striatum"): 0.893,
    ("template (mage)", "pallidum"): 0.807,
    ("template (mage)", "thalamus"): 0.875,
    ("template (xiao)", "accumbens"): 0.626,
    ("Eve", "putamen"): 0.781,
    ("Eve", "pallidum"): 0.697,
    ("Eve", "thalamus"): 0.862,
    ("Eve", "internal capsule"): 0.633,
    ("fstd-08", "caudate"): 0.888,
    ("fstd-08", "pallidum"): 0.750,
    ("fstd-08", "lateral ventricle"): 0.831,
}
"""Measured, less 0.005, where the requirement is missed (docs/measurements.md): it must not get worse."""
NEAR_MM = {"putamen": 0.7, "pallidum": 1.0, "thalamus": 0.8, "striatum": 0.7}
"""Largest distance of the centroid from that of the labels along any axis of the patient."""


def _required(case):
    marks = [pytest.mark.xfail(strict=True, reason="missed, see docs/measurements.md")] if case in FLOORS else []
    return pytest.param(*case, marks=marks)


@pytest.fixture(scope="session")
def means(data, segmenter):
    """By head: mean scores by region."""
    heads = {head for head, _ in REQUIRED}
    return {
        name: mean_of_sides(compare(segmenter(volume).labels, truth, protocol))
        for name, protocol, volume, truth in labelled(data)
        if name in heads
    }


@pytest.mark.parametrize(("head", "region"), map(_required, REQUIRED))
def test_heads_outside_the_training_reach_the_required_dice(means, head, region):
    assert means[head][region].dice >= REQUIRED[head, region]


@pytest.mark.parametrize(("head", "region"), FLOORS)
def test_a_missed_requirement_is_missed_by_no_more_than_measured(means, head, region):
    assert means[head][region].dice >= FLOORS[head, region]


@pytest.mark.parametrize("head", ["template (mage)", "fstd-08"])
def test_centroids_of_nuclei_lie_near_those_of_the_labels(means, head):
    for region, mean in means[head].items():
        if region in NEAR_MM:
            assert max(map(abs, mean.offset_mm)) <= NEAR_MM[region], (region, mean.offset_mm)
