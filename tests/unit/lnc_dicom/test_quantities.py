from lnc_dicom.codes import NO_UNITS
from lnc_dicom.quantities import QUANTITIES, Quantity


def test_every_quantity_is_in_the_table():
    assert set(QUANTITIES) == set(Quantity)


def test_no_two_quantities_share_a_name_or_a_code():
    for field in ("name", "short_name", "code"):
        assert len({getattr(row, field) for row in QUANTITIES.values()}) == len(Quantity), field


def test_a_unit_is_shown_exactly_where_one_is_coded():
    for row in QUANTITIES.values():
        assert bool(row.unit_text) == (row.unit != NO_UNITS) == (row.ucum != "1")


def test_only_a_map_in_an_arbitrary_unit_has_no_fixed_window():
    assert [q for q, row in QUANTITIES.items() if row.window is None] == [Quantity.RELATIVE_CBF]


def test_the_window_of_fa_is_its_whole_range():
    assert QUANTITIES[Quantity.FA].window == (0.0, 1.0)
