"""From what the network says to what may be written: units, intervals, probabilities.

Fitted on patients that the network was not trained on. Intervals of FA and CBF are conformal (normalised residuals,
Papadopoulos 2008; Angelopoulos & Bates 2021); probabilities of the categories are temperature-scaled (Guo 2017).
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from lnc_dicom.predictions import PredictedValue

FILE = "calibration.json"
COVERAGE = 0.9
MOST_STEMS = 12
"""Autopsy found 2 to 12 stems per hemisphere."""
_HALF_WIDTH = float(stats.norm.ppf((1 + COVERAGE) / 2))
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """All numbers between the heads and the results.

    maps
        Per region, for FA and CBF: mean and SD that the heads are relative to.
    widths
        Per map (FA, CBF): half the width of the 90 % interval in predicted SDs.
    stems
        Mean and SD that the head is relative to.
    stems_line
        Offset and slope of the line from predicted to counted stems; stems_sd: SD around it.
    temperature
        Divides the logits of the categories.
    farthest
        Largest distance (`network.Outputs`) of any region of these patients; what lies farther is unlike them.
    patients
        How many patients it was fitted on.
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
        """Give FA (quantity 0) or CBF (1) of a region in its unit, with its 90 % interval."""
        centre, scale = self.maps[region][quantity]
        half = self.widths[quantity] * math.exp(log_sd)
        low, value, high = (max(0.0, centre + scale * z) for z in (mean - half, mean, mean + half))
        return PredictedValue(value, low, min(high, 1.0) if quantity == 0 else high)

    def predict_stems(self, raw: float) -> tuple[PredictedValue, Array]:
        """Give the expected number of stems with its 90 % interval, and the probability of 0, 1, 2 … stems."""
        offset, slope = self.stems_line
        expected = offset + slope * (self.stems[0] + self.stems[1] * raw)
        half = _HALF_WIDTH * self.stems_sd
        interval = PredictedValue(
            *(float(np.clip(v, 0, MOST_STEMS)) for v in (expected, expected - half, expected + half))
        )
        return interval, count_probabilities(expected, self.stems_sd)

    def probabilities(self, logits: Array) -> Array:
        """Calibrated probabilities of the categories (…, k)."""
        return np.asarray(special.softmax(np.asarray(logits, float) / self.temperature, axis=-1))


def count_probabilities(expected: float, sd: float) -> Array:
    """Probability of 0 … `MOST_STEMS` stems: a normal variable that is rounded to whole numbers."""
    edges = np.concatenate([[-np.inf], np.arange(MOST_STEMS) + 0.5, [np.inf]])
    return np.asarray(np.diff(stats.norm.cdf(edges, expected, max(sd, 1e-3))))


def conformal_width(scores: Array) -> float:
    """Smallest half width that would have covered 90 % of the regions of new people: scores (n, s), nan if missing.

    Corrected by (n + 1) / n for the n people, not for their n * s scores: those of one person are alike.
    """
    known = np.abs(scores[np.isfinite(scores)])
    if not known.size:
        return _HALF_WIDTH
    people = int(np.isfinite(scores).any(axis=1).sum())
    share = min(1.0, math.ceil((people + 1) * COVERAGE) / people)
    return float(np.quantile(known, share, method="inverted_cdf"))


def fit_temperature(logits: Array, labels: npt.NDArray[np.int64]) -> float:
    """Temperature that makes the labels likeliest, between 0.2 and 20."""

    def loss(log_temperature: float) -> float:
        scaled = special.log_softmax(logits / math.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(labels)), labels].mean())

    found = optimize.minimize_scalar(loss, bounds=(math.log(0.2), math.log(20)), method="bounded")
    return math.exp(float(found.x))


def fit_stems(predicted: Array, counted: Array) -> tuple[tuple[float, float], float]:
    """Line from predicted to counted stems, and the SD around it; a slope below 0 means no skill and becomes 0."""
    slope = max(0.0, float(np.polyfit(predicted, counted, 1)[0])) if predicted.std() > 0 else 0.0
    offset = float(counted.mean() - slope * predicted.mean())
    return (offset, slope), float(np.std(counted - offset - slope * predicted, ddof=min(2, len(counted) - 1)))


def save_calibrations(folder: Path, with_covariates: Calibration, without_covariates: Calibration) -> None:
    """Write both calibrations as JSON: where age and sex are known, and where they are not."""
    both = {"with_covariates": asdict(with_covariates), "without_covariates": asdict(without_covariates)}
    (folder / FILE).write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")


def load_calibrations(folder: Path) -> tuple[Calibration, Calibration]:
    """Read what `save_calibrations` wrote."""
    both = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return _calibration(both["with_covariates"]), _calibration(both["without_covariates"])


def _calibration(raw: dict[str, Any]) -> Calibration:
    raw["maps"] = tuple(tuple((float(m), float(s)) for m, s in region) for region in raw["maps"])
    for name in ("widths", "stems", "stems_line"):
        raw[name] = tuple(raw[name])
    return Calibration(**raw)
