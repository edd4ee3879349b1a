import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.number_text import mean_text, predicted_text
from lnc_dicom.predictions import PredictedValue
from lnc_dicom.quantities import Quantity
from lnc_dicom.types import Measurement, Statistic


@pytest.mark.parametrize(
    ("quantity", "mean", "text"),
    [
        (Quantity.FA, 0.4149, "0.41"),
        (Quantity.CBF, 47.6, "48"),
        (Quantity.RELATIVE_CBF, 912.3, "912"),
        (Quantity.CBF, -0.3, "0"),
    ],
)
def test_a_mean_has_the_digits_of_its_quantity_and_no_negative_zero(quantity, mean, text):
    measurement = Measurement(STRUCTURES[0], 100, 1.0, statistics={quantity: Statistic(mean, 1.0, mean, 20)})
    assert mean_text(measurement, quantity) == text


def test_a_quantity_that_was_not_measured_is_a_dash():
    assert mean_text(Measurement(STRUCTURES[0], 100, 1.0), Quantity.FA) == "-"


def test_a_prediction_is_written_with_its_interval_from_low_to_high():
    assert predicted_text(PredictedValue(3.44, 2.0, 4.86), 1) == "3.4 (2.0 to 4.9)"
