"""Measured and predicted values → the text that readers see on pages and in reports."""

from __future__ import annotations

from lnc_dicom.predictions import PredictedValue
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.types import Measurement


def mean_text(measurement: Measurement, quantity: Quantity) -> str:
    """Write the mean of a quantity in a structure with its number of digits, without unit; "-" if not measured."""
    statistic, digits = measurement.statistics.get(quantity), QUANTITIES[quantity].digits
    return "-" if statistic is None else f"{round(statistic.mean, digits) + 0.0:.{digits}f}"  # + 0.0: never "-0"


def predicted_text(predicted: PredictedValue, digits: int) -> str:
    """Write a predicted value and its 90 % interval, without unit."""
    return f"{predicted.value:.{digits}f} ({predicted.low:.{digits}f} to {predicted.high:.{digits}f})"
