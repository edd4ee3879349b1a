"""Raw network outputs → results: units, 90 % intervals, probabilities.

Fitted by `train.calibrate` on patients whom the network was not trained on. Intervals of FA and CBF are conformal
(normalised residuals: Papadopoulos 2008; Angelopoulos & Bates 2021); the probabilities of the disease categories are
temperature-scaled (Guo 2017).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from lnc_dicom.predictions import PredictedValue

FILE = "calibration.json"
COVERAGE = 0.9
"""Nominal coverage of every interval."""
MAX_STEMS = 12
"""Autopsy found 2 to 12 LSA stems per hemisphere."""
HALF_WIDTH_SD = float(stats.norm.ppf((1 + COVERAGE) / 2))
"""Half-width of the interval of a normal variable, in SD."""
_SMALLEST_SD = 1e-3
_TEMPERATURES = (0.2, 20.0)
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BiomarkerCalibration:
    """All numbers between the heads of the network and the results.

    maps
        Per region, for FA and CBF: the mean and SD that the heads are standardised by.
    widths
        Per map (FA, CBF): half-width of the 90 % interval, in predicted SDs.
    stems
        Mean and SD that the head of the stems is standardised by.
    stems_line, stems_sd
        Offset and slope of the line from predicted to counted stems, and the residual SD around it.
    temperature
        Divides the logits of the disease categories.
    farthest
        Largest distance (`network.Outputs`) of any region among the calibration patients; a head beyond it is unlike
        them.
    patients
        Number of calibration patients.
    """

    maps: tuple[tuple[tuple[float, float], ...], ...]
    widths: tuple[float, float]
    stems: tuple[float, float]
    stems_line: tuple[float, float]
    stems_sd: float
    temperature: float
    farthest: float
    patients: int

    def predict_map(self, region: int, quantity: int, mean: float, log_sd: float) -> PredictedValue:
        """FA (quantity 0, no unit) or CBF (1, ml/100 g/min) of a region, with its 90 % interval."""
        centre, scale = self.maps[region][quantity]
        half = self.widths[quantity] * math.exp(log_sd)
        low, value, high = (max(0.0, centre + scale * z) for z in (mean - half, mean, mean + half))
        return PredictedValue(value, low, min(high, 1.0) if quantity == 0 else high)

    def predict_stems(self, raw: float) -> tuple[PredictedValue, Array]:
        """Give the expected number of stems with its 90 % interval, and the probabilities of 0, 1, … `MAX_STEMS`."""
        offset, slope = self.stems_line
        expected = offset + slope * (self.stems[0] + self.stems[1] * raw)
        half = HALF_WIDTH_SD * self.stems_sd
        interval = PredictedValue(
            *(float(np.clip(v, 0, MAX_STEMS)) for v in (expected, expected - half, expected + half))
        )
        return interval, count_probabilities(expected, self.stems_sd, range(MAX_STEMS + 1))

    def probabilities(self, logits: Array) -> Array:
        """Calibrated probabilities of the disease categories, (…, k)."""
        return np.asarray(special.softmax(np.asarray(logits, float) / self.temperature, axis=-1))


def count_probabilities(expected: npt.ArrayLike, sd: float, counts: Sequence[int]) -> Array:
    """Probability of each count under normal variables rounded to whole numbers, (…, counts).

    expected
        Means of the normal variables, (…).
    counts
        Consecutive whole numbers; the first and the last also hold the tails.
    """
    edges = np.array([-np.inf, *(c + 0.5 for c in counts[:-1]), np.inf])
    return np.asarray(np.diff(stats.norm.cdf(edges, np.asarray(expected)[..., None], max(sd, _SMALLEST_SD)), axis=-1))


def fit_temperature(logits: Array, labels: npt.NDArray[np.int64]) -> float:
    """Temperature, between 0.2 and 20, that maximises the likelihood of labels (n,) given logits (n, k)."""

    def loss(log_temperature: float) -> float:
        scaled = special.log_softmax(logits / math.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(labels)), labels].mean())

    found = optimize.minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded")
    return math.exp(float(found.x))


def save_calibrations(
    folder: Path, with_covariates: BiomarkerCalibration, without_covariates: BiomarkerCalibration
) -> None:
    """Write both calibrations as JSON: for patients whose age and sex are known, and for the others."""
    both = {"with_covariates": asdict(with_covariates), "without_covariates": asdict(without_covariates)}
    (folder / FILE).write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")


def load_calibrations(folder: Path) -> tuple[BiomarkerCalibration, BiomarkerCalibration]:
    """Read what `save_calibrations` wrote. Raises KeyError or TypeError if the file has other contents."""
    both = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return _calibration(both["with_covariates"]), _calibration(both["without_covariates"])


def _calibration(raw: Mapping[str, Any]) -> BiomarkerCalibration:
    maps = tuple(tuple((float(m), float(s)) for m, s in region) for region in raw["maps"])
    pairs = {name: tuple(raw[name]) for name in ("widths", "stems", "stems_line")}
    return BiomarkerCalibration(**{**raw, **pairs, "maps": maps})
