import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.measure.field_of_view import cut_sides


def head(keep=(slice(None),) * 3, background=0.0):
    """A ball with a neck, in the middle of air; axes (L, P, S)."""
    left, posterior, superior = np.indices((80, 80, 80)) - 40
    ball = left**2 + posterior**2 + superior**2 < 30**2
    neck = (left**2 + posterior**2 < 15**2) & (superior < 0)
    pixels = np.where(ball | neck, 100.0, background).astype(np.float32)[keep]
    return hd.Volume(pixels, np.eye(4), coordinate_system="PATIENT")


def test_a_whole_head_is_cut_at_the_neck_only_which_is_not_said():
    assert cut_sides(head()) == {}


@pytest.mark.parametrize(
    ("keep", "side"),
    [
        ((slice(20, None), slice(None), slice(None)), "right"),
        ((slice(60), slice(None), slice(None)), "left"),
        ((slice(None), slice(20, None), slice(None)), "front"),
        ((slice(None), slice(60), slice(None)), "back"),
        ((slice(None), slice(None), slice(60)), "top"),
    ],
)
def test_a_head_that_an_edge_cuts_is_named_by_its_side(keep, side):
    assert list(cut_sides(head(keep))) == [side]


def test_the_side_is_that_of_the_patient_however_the_slices_are_stored():
    stored = head((slice(20, None), slice(None), slice(None))).to_patient_orientation("PIR")
    assert list(cut_sides(stored)) == ["right"]


def test_nothing_is_said_where_the_background_is_bright():
    assert cut_sides(head(background=50.0)) == {}
