"""Statistic → estimate with a 95 % interval: BCa bootstrap of patients, and Clopper-Pearson for proportions."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from lnc_dicom.biomarker.evaluation.inputs import Array, Ints
from lnc_dicom.biomarker.evaluation.metrics import Statistic

LEVEL = 0.95
FEWEST = 3
"""With fewer patients nothing is resampled or tested."""
_NO_GAIN, _ROUNDING = 1e-9, 1e-12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval; nan if it is not defined."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def holds(self, number: float) -> bool:
        """Whether the interval includes a number."""
        return self.low <= number <= self.high

    def __str__(self) -> str:
        """Three significant digits and the interval; values below the rounding error are 0."""
        value, low, high = (f"{0.0 if abs(v) < _ROUNDING else v:.3g}" for v in (self.value, self.low, self.high))
        if math.isnan(self.value):
            return "-"
        return value if math.isnan(self.low) else f"{value} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How patients are resampled: their number, the number of resamples, and the seed."""

    patients: int
    resamples: int
    seed: int

    def estimate(self, statistic: Statistic, among: Ints | None = None) -> Estimate:
        """Value over all or some patients, with its BCa interval.

        Percentile interval if the acceleration is not defined; no interval if the value is not.
        """
        some = np.arange(self.patients) if among is None else among
        value = float(statistic(self._counts(some[None]))[0])
        if not math.isfinite(value) or len(some) < FEWEST:
            return Estimate(value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # degenerate distributions are handled below
            result = stats.bootstrap(
                (some,),
                lambda index, axis=-1: self._apply(statistic, index, axis),
                n_resamples=self.resamples,
                batch=500,
                vectorized=True,
                confidence_level=LEVEL,
                method="BCa",
                rng=np.random.default_rng(self.seed),
            )
        low, high = (float(v) for v in result.confidence_interval)
        if not (math.isfinite(low) and math.isfinite(high)):
            tail = 50 * (1 - LEVEL)
            low, high = (float(v) for v in np.nanpercentile(result.bootstrap_distribution, [tail, 100 - tail]))
        return Estimate(value, low, high)

    def _apply(self, statistic: Statistic, index: Ints, axis: int) -> Array:
        moved = np.moveaxis(np.asarray(index), axis, -1)
        value = statistic(self._counts(moved.reshape(-1, moved.shape[-1])))
        return value.reshape(moved.shape[:-1])

    def _counts(self, index: Ints) -> Array:
        """Count how often each patient was drawn, (b, n), from indices (b, m)."""
        lines = len(index)
        flat = np.arange(lines)[:, None] * self.patients + index
        counted = np.bincount(flat.ravel(), minlength=lines * self.patients)
        return counted.reshape(lines, self.patients).astype(float)


def clopper_pearson(share: float, trials: int) -> Estimate:
    """Exact 95 % interval of a proportion; `share * trials` is not a whole number if repeats were averaged."""
    low, high = proportion_confint(share * trials, trials, alpha=1 - LEVEL, method="beta")
    return Estimate(share, float(np.nan_to_num(low, nan=0.0)), float(np.nan_to_num(high, nan=1.0)))


def difference(a: Statistic, b: Statistic) -> Statistic:
    """Difference of two statistics of the same patients."""
    return lambda weights: a(weights) - b(weights)


def share_of_gain(model: Statistic, baseline: Statistic, best: Statistic) -> Statistic:
    """Gain of a model over a baseline as a share of the best possible gain; nan if no gain is possible."""

    def value(weights: Array) -> Array:
        start, possible = baseline(weights), best(weights) - baseline(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(np.abs(possible) > _NO_GAIN, (model(weights) - start) / possible, np.nan))

    return value
