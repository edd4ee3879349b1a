"""Columns of a training fold → predictions for a test fold; everything is fitted, and every penalty chosen, inside.

Standardised columns, a lossless rotation of the many (PCA keeping every component: the same regression, but small),
and a ridge or a multinomial logistic regression. The penalty and the weight of the strong columns are those that do
best on the inner folds; the spread of the inner residuals gives the intervals, the inner logits the temperature.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lnc_dicom.biomarker.evaluation.design import Columns
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints

PENALTIES = np.logspace(-3, 7, 21)
"""Of the ridge: from one that remembers every row to one that keeps only the mean."""
INVERSE_PENALTIES = np.logspace(-5, 2, 8)
"""C of the logistic regression, over the same span."""
BOUND = 3.0
"""SDs of the training rows that a strong column may lie from their mean."""
LEVEL = 0.9
"""Of the conformal intervals."""
_TEMPERATURES = (0.2, 20.0)
_ITERATIONS, _TOLERANCE = 500, 1e-3
_PATIENCE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Predictions of t targets, (m, t), with the SD and half-width of the 90 % interval of each, (t,)."""

    value: Array
    sd: Array
    half: Array


def rotate(train: Array, test: Array) -> tuple[Array, Array]:
    """Standardise by the training rows and rotate onto all principal components: nothing is lost, but columns."""
    if not train.shape[1]:
        return train, test
    fitted = make_pipeline(StandardScaler(), PCA(svd_solver="full")).fit(train)
    return np.asarray(fitted.transform(train)), np.asarray(fitted.transform(test))


def joined(train: Columns, test: Columns, weight: float) -> tuple[Array, Array]:
    """Put the rotated plain columns and the strong ones, standardised, bounded and weighted, side by side.

    Bounded, because one patient of whom the network says something unheard of would else decide the score.
    """
    if not train.strong.shape[1]:
        return train.plain, test.plain
    scaler = StandardScaler().fit(train.strong)
    parts = [
        np.concatenate([c.plain, weight * np.clip(scaler.transform(c.strong), -BOUND, BOUND)], axis=1)
        for c in (train, test)
    ]
    return parts[0], parts[1]


def regress(train: Columns, y: Array, inner: Ints, test: Columns, weights: Sequence[float]) -> Expected:
    """Ridge for t targets (m, t) at once, each with its own penalty and weight.

    inner
        Fold of every training row, (m,).
    """
    targets = y.shape[1]
    best = np.full(targets, np.inf)
    value, residual = np.zeros((len(test.strong), targets)), np.zeros_like(y)
    for weight in weights:
        x, x_test = joined(train, test, weight)
        held_out = _ridge_path(x, y, inner)
        errors = np.square(held_out - y[:, None]).mean(axis=0)
        chosen = errors.argmin(axis=0)
        better = np.flatnonzero(errors.min(axis=0) < best)
        if len(better):
            best[better] = errors.min(axis=0)[better]
            fitted = Ridge(PENALTIES[chosen[better]], solver="svd").fit(x, y[:, better])
            value[:, better] = np.reshape(fitted.predict(x_test), (len(x_test), -1))
            residual[:, better] = (y[:, None] - held_out)[:, chosen[better], better]
    return Expected(value, np.sqrt(best), conformal(residual))


def _ridge_path(x: Array, y: Array, inner: Ints) -> Array:
    """Predict every row from the other inner folds, for every penalty: (m, penalties, t)."""
    targets = y.shape[1]
    alphas = np.repeat(PENALTIES, targets)
    held_out = np.zeros((len(y), len(PENALTIES), targets))
    for fold in np.unique(inner):
        kept, left = inner != fold, inner == fold
        fitted = Ridge(alphas, solver="svd").fit(x[kept], np.tile(y[kept], (1, len(PENALTIES))))
        held_out[left] = fitted.predict(x[left]).reshape(-1, len(PENALTIES), targets)
    return held_out


def conformal(residual: Array) -> Array:
    """Half-width that holds 90 % of rows like those of the residuals (m, t): the split-conformal quantile, (t,)."""
    rank = min(len(residual) - 1, int(np.ceil((len(residual) + 1) * LEVEL)) - 1)
    return np.asarray(np.sort(np.abs(residual), axis=0)[rank])


def classify(train: Columns, y: Ints, inner: Ints, test: Columns, weights: Sequence[float], classes: int) -> Array:
    """Multinomial logistic regression, calibrated by one temperature: probabilities (m, classes)."""
    best, logits, temperature = np.inf, np.zeros((len(test.strong), classes)), 1.0
    for weight in weights:
        x, x_test = joined(train, test, weight)
        loss, c, held_out = _best_penalty(x, y, inner, classes)
        if loss < best:
            best = loss
            model = LogisticRegression(C=c, max_iter=_ITERATIONS, tol=_TOLERANCE)
            _fit(model, x, y)
            logits = _logits(model, x_test, classes)
            temperature = temperature_of(held_out, y)
    return np.asarray(softmax(logits / temperature, axis=1))


def _best_penalty(x: Array, y: Ints, inner: Ints, classes: int) -> tuple[float, float, Array]:
    """Loss, C and logits (m, classes) of every row from the other inner folds, where the loss is least.

    Goes from the strongest penalty to the weakest, and stops when two in a row were worse than the best.
    """
    folds = [np.flatnonzero(inner == fold) for fold in np.unique(inner)]
    kept = [np.setdiff1d(np.arange(len(y)), left) for left in folds]
    models = [LogisticRegression(max_iter=_ITERATIONS, tol=_TOLERANCE, warm_start=True) for _ in folds]
    best, c_best, logits, worse = np.inf, 0.0, np.zeros((len(y), classes)), 0
    for c in INVERSE_PENALTIES:
        held_out = np.zeros((len(y), classes))
        for model, rows, left in zip(models, kept, folds, strict=True):
            _fit(model.set_params(C=c), x[rows], y[rows])
            held_out[left] = _logits(model, x[left], classes)
        loss = _log_loss(held_out, y, 1.0)
        worse = 0 if loss < best else worse + 1
        if loss < best:
            best, c_best, logits = loss, float(c), held_out
        if worse == _PATIENCE:
            break
    return best, c_best, logits


def _fit(model: LogisticRegression, x: Array, y: Ints) -> None:
    """Fit, with the iterations there are: a penalty at which they do not suffice seldom wins, and does no harm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)


def _logits(model: LogisticRegression, x: Array, classes: int) -> Array:
    """Log-probabilities, (m, classes); a class that the training rows lack is all but impossible."""
    logits = np.full((len(x), classes), -20.0)
    logits[:, model.classes_] = model.predict_log_proba(x)
    return np.asarray(np.maximum(logits, -50.0))


def _log_loss(logits: Array, y: Ints, temperature: float) -> float:
    scaled = logits / temperature
    return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(y)), y]))


def temperature_of(logits: Array, y: Ints) -> float:
    """Temperature that makes logits (m, classes) likeliest."""
    found = minimize_scalar(
        lambda t: _log_loss(logits, y, float(np.exp(t))), bounds=np.log(_TEMPERATURES), method="bounded"
    )
    return float(np.exp(found.x))
