from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageDraw

from lnc_dicom.anatomy import Side
from lnc_dicom.encode.pages.canvas import SMALLEST
from lnc_dicom.encode.pages.summary_page import TILE, draw_pages
from lnc_dicom.types import Caveat, Check
from tests.factories import LAYOUTS, NOW, head, layout
from tests.unit.lnc_dicom.encode.conftest import make_report

TOP = 106


@pytest.fixture
def drawn(monkeypatch):
    """Everything that is written onto a page: text, its box, and the height of its letters."""
    found = []
    original = ImageDraw.ImageDraw.text

    def text(self, xy, what, fill=None, font=None, anchor=None, **kwargs):
        split = {"anchor": anchor} if "\n" not in what else {}
        box = (
            self.multiline_textbbox(xy, what, font=font)
            if "\n" in what
            else self.textbbox(xy, what, font=font, **split)
        )
        found.append((what, box, font.size))
        return original(self, xy, what, fill, font, anchor, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return found


def test_pages_are_square_and_carry_the_banner(everything):
    pages = draw_pages(everything.report, NOW)
    assert len(pages) == 2
    for page in pages:
        assert page.shape == (1024, 1024, 3)
        assert (page[5, 5] == (190, 30, 30)).all()


def test_without_maps_there_is_one_page_whatever_was_predicted(everything):
    plain = [replace(m, statistics={}) for m in everything.report.measurements]
    report = replace(everything.report, maps=(), measurements=tuple(plain))
    assert len(draw_pages(report, NOW)) == 1


def test_nothing_that_was_predicted_is_on_the_pages(everything, drawn):
    draw_pages(everything.report, NOW)
    assert not [what for what, _, _ in drawn if "redict" in what or "LNC-408" in what]


def test_nothing_is_drawn_smaller_than_can_be_read_or_over_the_edge(everything, drawn):
    draw_pages(everything.report, NOW)
    assert len(drawn) > 100
    for what, (left, top, right, bottom), size in drawn:
        assert size >= SMALLEST, what
        assert left >= 0, what
        assert top >= 0, what
        assert right <= 1024, what
        assert bottom <= 1024, what


def test_numbers_of_a_page_do_not_lie_on_each_other(everything, drawn):
    draw_pages(everything.report, NOW)
    for page in (0, 1):
        starts = [i for i, (what, _, _) in enumerate(drawn) if what.startswith("RESEARCH")] + [len(drawn)]
        boxes = [(w, b) for w, b, _ in drawn[starts[page] : starts[page + 1]] if w.strip() and b[0] > TILE * 3]
        for i, (what, a) in enumerate(boxes):
            for other, b in boxes[:i]:
                apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] + 1 or b[3] <= a[1] + 1
                assert apart, f"{what!r} lies on {other!r}"


def test_no_patient_data_is_drawn(everything, drawn):
    assert str(everything.report.sources[0].PatientName).startswith("CANARY")
    draw_pages(everything.report, NOW)
    assert not [what for what, _, _ in drawn if "CANARY" in what]


def test_if_not_all_caveats_fit_the_last_line_says_so(everything, drawn):
    many = tuple(Caveat("LNC-403", f"caveat {i}", is_our_text=True) for i in range(60))
    draw_pages(replace(everything.report, caveats=many), NOW)
    assert any("every caveat is in result.json" in what for what, _, _ in drawn)
    assert max(box[3] for _, box, _ in drawn) <= 1024


def test_a_caveat_is_drawn_because_its_text_is_ours_whatever_its_code(everything, drawn):
    caveats = (Caveat("LNC-403", "file CANARY.dcm"), Caveat("LNC-999", "a new one", is_our_text=True))
    draw_pages(replace(everything.report, caveats=caveats), NOW)
    written = [what for what, _, _ in drawn]
    assert "LNC-999 a new one" in written
    assert not [what for what in written if "CANARY" in what]


@pytest.mark.parametrize(("order", "signs"), [LAYOUTS[0], LAYOUTS[17], LAYOUTS[30], LAYOUTS[47]])
def test_every_slice_shows_the_patients_left_on_the_right(tmp_path, order, signs):
    report = make_report(tmp_path, *layout(*head((80, 72, 90), (1.9, 1.9, 1.9)), order, signs))
    failed = (Check("LNC-000", "made up", 0.0, 1.0, 2.0),)
    half = tuple(m if m.structure.side is Side.LEFT else replace(m, checks=failed) for m in report.measurements)
    whole, left = (draw_pages(one, NOW)[0].astype(int) for one in (report, replace(report, measurements=half)))
    gone = np.abs(whole - left)[TOP : TOP + 3 * TILE, : 3 * TILE].sum(axis=-1)
    _, columns = np.nonzero(gone)  # structures that failed are not drawn: what is gone are those of the right
    assert len(columns) > 1000
    assert (columns % TILE <= TILE / 2).all()


def test_the_numbers_on_the_page_are_those_of_the_report(everything, drawn):
    draw_pages(everything.report, NOW)
    written = [what for what, _, _ in drawn]
    for measurement in everything.report.measurements:
        assert f"{measurement.volume_ml:.2f}" in written
    assert "0.40" in written
