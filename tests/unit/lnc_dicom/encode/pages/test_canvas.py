import numpy as np
import pytest

from lnc_dicom.encode.pages.canvas import BLACK, RED, SIZE, SMALLEST, TOP, font, new_page
from lnc_dicom.predictions import Model
from tests.factories import NOW

MODEL = Model("lnc-deep-grey", "0.10.0", "0" * 64)


@pytest.fixture
def page():
    image, _ = new_page("Deep grey matter volumes on T1", MODEL, NOW, "page 1 of 2")
    return np.asarray(image)


def test_a_page_is_square_with_the_banner_on_top(page):
    assert page.shape == (SIZE, SIZE, 3)
    assert (page[5] == RED).all()


def test_the_headings_leave_room_for_the_cine_player_of_ohif(page):
    assert (page[44:TOP, int(0.42 * SIZE) : int(0.59 * SIZE)] == BLACK).all()


def test_nothing_is_drawn_below_the_headings(page):
    assert (page[TOP:] == BLACK).all()
    assert page[44:TOP].any()


@pytest.mark.parametrize(("wanted", "given"), [(5, SMALLEST), (SMALLEST, SMALLEST), (26, 26)])
def test_no_font_is_smaller_than_can_be_read(wanted, given):
    assert font(wanted).size == given
