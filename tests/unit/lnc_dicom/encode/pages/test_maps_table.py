from dataclasses import replace

from lnc_dicom.encode.pages.maps_table import draw_quantities, measured_quantities
from lnc_dicom.quantities import Quantity
from lnc_dicom.types import Statistic


def _with(report, label, **statistics):
    found = {Quantity[name]: Statistic(mean, 0.1, mean, 20) for name, mean in statistics.items()}
    measurements = tuple(
        replace(m, statistics=found if m.structure.label == label else {}) for m in report.measurements
    )
    return replace(report, measurements=measurements)


def test_a_quantity_that_any_structure_has_is_in_the_table(report):
    assert measured_quantities(_with(report, 3, CBF=50.0)) == (Quantity.CBF,)
    assert measured_quantities(_with(report, 3)) == ()


def test_every_quantity_is_headed_by_its_name_and_unit(report, pen):
    draw_quantities(pen, _with(report, 3, FA=0.4, CBF=50.0, RELATIVE_CBF=900.0), 12, 100)
    assert {"FA", "CBF, ml/100 g/min", "relative CBF"} <= set(pen.written)


def test_the_mean_of_the_left_stands_left_of_that_of_the_right(report, pen):
    left, right = _with(report, 3, FA=0.41), _with(report, 4, FA=0.32)
    both = replace(left, measurements=(*left.measurements[:3], right.measurements[3], *left.measurements[4:]))
    draw_quantities(pen, both, 12, 100)
    places = dict(pen.texts)
    assert places["0.41"][0] < places["0.32"][0]
    assert places["0.41"][1] == places["0.32"][1] == places["putamen"][1]


def test_without_measured_maps_the_table_says_so(report, pen):
    bottom = draw_quantities(pen, _with(report, 3), 12, 100)
    (text,) = pen.written
    assert text.startswith("Measured: nothing")
    assert bottom > 100


def test_the_next_table_begins_below_everything_drawn(report, pen):
    bottom = draw_quantities(pen, report, 12, 100)
    assert bottom > max(y for _, (_, y) in pen.texts) + 15
