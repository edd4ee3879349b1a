"""Residuals of held-out cases → the half-width of an interval, by split conformal prediction."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def conformal_quantile(scores: npt.ArrayLike, coverage: float, subjects: int | None = None) -> Array:
    """Score that a new case stays below with at least this probability, if it is exchangeable with the others.

    Split conformal prediction (Lei et al., J Am Stat Assoc 2018;113:1094): the score of rank ceil((n + 1) * coverage)
    among n. Where that rank is beyond n, the largest score is given, and the coverage is not guaranteed.

    scores
        Non-negative and finite or infinite, never nan, axis 0 over the n cases; one quantile per column, shape (...).
    coverage
        1 - alpha, between 0 and 1.
    subjects
        How many independent subjects the cases come from, where a subject gives several: (n + 1) / n is then taken
        of the subjects, for the cases of one subject are alike. Default: as many as cases.
    """
    ordered = np.sort(np.asarray(scores, np.float64), axis=0)
    cases = len(ordered)
    count = cases if subjects is None else subjects
    rank = min(count, math.ceil((count + 1) * coverage))
    return np.asarray(ordered[-(-rank * cases // count) - 1])
