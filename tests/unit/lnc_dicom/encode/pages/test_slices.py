import numpy as np
import pytest

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.encode.pages.slices import SPAN_MM, Slice, colours, cut_out, cutter, is_outline

SIZE = 132  # 1 mm per pixel


@pytest.fixture(scope="module")
def cut(report):
    return cutter(report, SIZE)


def _columns(report, cut, side):
    """Columns of the axial middle slice that show structures of a side."""
    labels = cut.labels(cut_out(report.labels, cut.box), Slice("axial", 0.0))
    return np.nonzero(np.isin(labels, [s.label for s in STRUCTURES if s.side is side]))[1]


def test_the_left_of_the_patient_is_on_the_right_of_the_picture(report, cut):
    assert _columns(report, cut, Side.LEFT).min() >= SIZE / 2 - 1
    assert _columns(report, cut, Side.RIGHT).max() <= SIZE / 2


def test_up_in_the_patient_is_up_in_a_coronal_slice(report, cut):
    labels = cut.labels(cut_out(report.labels, cut.box), Slice("coronal", 0.0))
    row = {
        name: np.nonzero(np.isin(labels, [s.label for s in STRUCTURES if s.name == name]))[0].mean()
        for name in ("putamen", "thalamus")
    }
    height = {s.name: np.argwhere(report.labels.array == s.label).mean(axis=0) for s in STRUCTURES}
    mm = {name: (report.labels.affine[:3, :3] @ height[name])[2] for name in row}
    assert (row["putamen"] < row["thalamus"]) == (mm["putamen"] > mm["thalamus"])


def test_a_structure_has_its_size_in_millimetres(report, cut):
    labels = cut.labels(cut_out(report.labels, cut.box), Slice("axial", 0.0))
    label = int(np.bincount(labels[labels > 0]).argmax())
    rows, columns = np.nonzero(labels == label)
    index = np.argwhere(report.labels.array == label)
    extent_mm = (np.ptp(index, axis=0) + 1) * np.array(report.labels.spacing)
    assert np.ptp(columns) + 1 == pytest.approx(extent_mm[0], abs=2)
    assert np.ptp(rows) + 1 == pytest.approx(extent_mm[1], abs=2)
    assert SPAN_MM == SIZE


def test_grey_values_fill_the_window(report, cut):
    grey = cut.grey(Slice("axial", 0.0))
    assert grey.shape == (SIZE, SIZE)
    assert 0 <= grey.min() < 0.1
    assert 0.5 < grey.max() <= 1


def test_a_part_of_a_volume_stays_where_it_is(report, cut):
    part = cut_out(report.volume, cut.box)
    corner = [s.start for s in cut.box]
    np.testing.assert_allclose(part.affine[:3, 3], (report.volume.affine @ [*corner, 1])[:3])


def test_every_label_has_the_colour_of_its_structure_and_the_background_is_black():
    table = colours()
    assert (table[0] == 0).all()
    assert all(tuple(table[s.label]) == s.rgb for s in STRUCTURES)


def test_an_outline_is_the_edge_of_every_label():
    labels = np.zeros((7, 7), np.uint8)
    labels[1:6, 1:4], labels[1:6, 4:6] = 1, 2
    edge = is_outline(labels)
    assert not edge[labels == 0].any()
    assert not edge[3, 2]
    assert edge[3, 3]
    assert edge[3, 4]
    assert edge[1, 2]
