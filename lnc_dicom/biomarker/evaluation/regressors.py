"""Training samples of a fold → predictions of its test samples; everything is fitted inside the fold.

Standardised columns, a lossless rotation of the deep features (PCA with every component: the same regression, but
small), and a ridge or a multinomial logistic regression. The penalty and the prior weight of the predictors are those
with the smallest error in the inner folds. The inner residuals give the intervals, the inner logits the temperature.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lnc_dicom.biomarker.calibration import COVERAGE, fit_temperature
from lnc_dicom.biomarker.evaluation.design import DesignMatrix
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints
from lnc_dicom.conformal import conformal_quantile

PENALTIES = np.logspace(-3, 7, 21)
"""Of the ridge, from hardly any shrinkage to predicting the mean."""
INVERSE_PENALTIES = np.logspace(-5, 2, 8)
"""C of the logistic regression, over the same range."""
BOUND = 3.0
"""SD from the mean of the training samples at which a predictor is clipped."""
_ITERATIONS, _TOLERANCE = 500, 1e-3
_PATIENCE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Predictions of t targets, (m, t), with the SD and half-width of the 90 % interval of each, (t,)."""

    value: Array
    sd: Array
    half_width: Array


def rotate(train: Array, test: Array) -> tuple[Array, Array]:
    """Standardise by the training samples and rotate onto all their principal components: lossless, fewer columns."""
    if not train.shape[1]:
        return train, test
    fitted = make_pipeline(StandardScaler(), PCA(svd_solver="full")).fit(train)
    return np.asarray(fitted.transform(train)), np.asarray(fitted.transform(test))


def joined(train: DesignMatrix, test: DesignMatrix, weight: float) -> tuple[Array, Array]:
    """Concatenate the rotated features and the predictors, which are standardised, clipped and multiplied by `weight`.

    Without clipping, one patient with an extreme output of the network could dominate the score.
    """
    if not train.predictors.shape[1]:
        return train.features, test.features
    scaler = StandardScaler().fit(train.predictors)
    parts = [
        np.concatenate([c.features, weight * np.clip(scaler.transform(c.predictors), -BOUND, BOUND)], axis=1)
        for c in (train, test)
    ]
    return parts[0], parts[1]


def regress(train: DesignMatrix, y: Array, inner: Ints, test: DesignMatrix, weights: Sequence[float]) -> Expected:
    """Ridge regression of t targets (m, t), each with its own penalty and prior weight.

    inner
        Inner fold of every training sample, (m,).
    """
    targets = y.shape[1]
    best = np.full(targets, np.inf)
    value, residual = np.zeros((len(test.predictors), targets)), np.zeros_like(y)
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
    return Expected(value, np.sqrt(best), conformal_quantile(np.abs(residual), COVERAGE))


def _ridge_path(x: Array, y: Array, inner: Ints) -> Array:
    """Predict every training sample from the other inner folds, for every penalty: (m, penalties, t)."""
    targets = y.shape[1]
    alphas = np.repeat(PENALTIES, targets)
    held_out = np.zeros((len(y), len(PENALTIES), targets))
    for fold in np.unique(inner):
        kept, left = inner != fold, inner == fold
        fitted = Ridge(alphas, solver="svd").fit(x[kept], np.tile(y[kept], (1, len(PENALTIES))))
        held_out[left] = fitted.predict(x[left]).reshape(-1, len(PENALTIES), targets)
    return held_out


def classify(
    train: DesignMatrix, y: Ints, inner: Ints, test: DesignMatrix, weights: Sequence[float], classes: int
) -> Array:
    """Multinomial logistic regression with temperature scaling: probabilities (m, classes)."""
    best, logits, temperature = np.inf, np.zeros((len(test.predictors), classes)), 1.0
    for weight in weights:
        x, x_test = joined(train, test, weight)
        loss, c, held_out = _best_penalty(x, y, inner, classes)
        if loss < best:
            best = loss
            model = LogisticRegression(C=c, max_iter=_ITERATIONS, tol=_TOLERANCE)
            _fit(model, x, y)
            logits = _logits(model, x_test, classes)
            temperature = fit_temperature(held_out, y)
    return np.asarray(softmax(logits / temperature, axis=1))


def _best_penalty(x: Array, y: Ints, inner: Ints, classes: int) -> tuple[float, float, Array]:
    """Smallest loss over the inner folds, its C, and the logits (m, classes) of every held-out sample.

    From the strongest penalty to the weakest; stops when two in a row are worse than the best.
    """
    folds = [np.flatnonzero(inner == fold) for fold in np.unique(inner)]
    kept = [np.setdiff1d(np.arange(len(y)), left) for left in folds]
    models = [LogisticRegression(max_iter=_ITERATIONS, tol=_TOLERANCE, warm_start=True) for _ in folds]
    best, c_best, logits, worse = np.inf, 0.0, np.zeros((len(y), classes)), 0
    for c in INVERSE_PENALTIES:
        held_out = np.zeros((len(y), classes))
        for model, indices, left in zip(models, kept, folds, strict=True):
            _fit(model.set_params(C=c), x[indices], y[indices])
            held_out[left] = _logits(model, x[left], classes)
        loss = -float(log_softmax(held_out, axis=1)[np.arange(len(y)), y].mean())
        worse = 0 if loss < best else worse + 1
        if loss < best:
            best, c_best, logits = loss, float(c), held_out
        if worse == _PATIENCE:
            break
    return best, c_best, logits


def _fit(model: LogisticRegression, x: Array, y: Ints) -> None:
    """Fit without a warning if the iterations do not suffice: such a penalty is seldom chosen, and does no harm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)


def _logits(model: LogisticRegression, x: Array, classes: int) -> Array:
    """Log-probabilities, (m, classes); a class without training samples is almost impossible."""
    logits = np.full((len(x), classes), -20.0)
    logits[:, model.classes_] = model.predict_log_proba(x)
    return np.asarray(np.maximum(logits, -50.0))
