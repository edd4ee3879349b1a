"""Out-of-fold predictions → statistics: functions of the weight of each patient, so that patients can be resampled.

Every statistic is a formula over sums per patient (`sums`), except the area under the curve, which is one over pairs of
patients (`pairs`). Over several repeats of the cross-validation it is the mean of the repeats.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lnc_dicom.biomarker.evaluation.cross_validation import OutOfFoldPredictions, TaskResult
from lnc_dicom.biomarker.evaluation.design import TaskKind
from lnc_dicom.biomarker.evaluation.inputs import Array, Ints

Statistic = Callable[[Array], Array]
"""Weights of the patients (b, n), how often each was drawn → value (b,)."""

ECE_BINS = 10
"""Number of equally wide bins of the calibration error and curve."""
_COUNT, _SQUARE, _ABSOLUTE, _SUM, _SUM_SQUARE, _COVERED = range(6)


def sums(parts: Array, formula: Callable[[Array], Array]) -> Statistic:
    """Apply a formula (…, k) → (…) to sums over patients of parts (r, n, k)."""

    def value(weights: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(formula(np.einsum("bn,rnk->brk", weights, parts, optimize=True)).mean(axis=1))

    return value


def per_patient(values: Array, subject: Ints, patients: int) -> Array:
    """Sum the values of samples (r, m, k) within each patient, (r, n, k)."""
    member = np.zeros((len(subject), patients))
    member[np.arange(len(subject)), subject] = 1.0
    return np.asarray(np.einsum("rmk,mn->rnk", values, member, optimize=True))


def error_parts(result: TaskResult, predicted: OutOfFoldPredictions, patients: int) -> Array:
    """Add up, per patient, what the statistics of a regression need, (r, n, 6)."""
    y = result.samples.y
    error = predicted.value - y
    constant = np.broadcast_to(np.stack([np.ones_like(y), y, y**2], axis=-1), (*error.shape, 3))
    covered = np.abs(error) <= np.where(np.isnan(predicted.half_width), np.nan, predicted.half_width)
    columns = [constant[..., 0], error**2, np.abs(error), constant[..., 1], constant[..., 2], covered.astype(float)]
    return per_patient(np.stack(columns, axis=-1), result.samples.subject, patients)


def regression_statistics(parts: Array, *, intervals: bool) -> dict[str, Statistic]:
    """RMSE, RMSE over the mean, R², MAE and coverage of the 90 % intervals.

    parts
        (r, n, 6 * regions). R² is relative to the mean of each region.
    """
    regions = parts.shape[-1] // 6

    def cells(total: Array) -> Array:
        return total.reshape(*total.shape[:-1], regions, 6)

    def whole(total: Array, column: int) -> Array:
        return np.asarray(cells(total)[..., column].sum(axis=-1))

    def rmse(total: Array) -> Array:
        return np.asarray(np.sqrt(whole(total, _SQUARE) / whole(total, _COUNT)))

    def spread(total: Array) -> Array:
        c = cells(total)
        return np.asarray(np.nansum(c[..., _SUM_SQUARE] - c[..., _SUM] ** 2 / c[..., _COUNT], axis=-1))

    formulas: dict[str, Callable[[Array], Array]] = {
        "rmse": rmse,
        "rmse_over_mean": lambda t: rmse(t) / (whole(t, _SUM) / whole(t, _COUNT)),
        "r2": lambda t: 1 - whole(t, _SQUARE) / spread(t),
        "mae": lambda t: whole(t, _ABSOLUTE) / whole(t, _COUNT),
    }
    if intervals:
        formulas["coverage"] = lambda t: whole(t, _COVERED) / whole(t, _COUNT)
    return {name: sums(parts, formula) for name, formula in formulas.items()}


def confusion_parts(result: TaskResult, predicted: OutOfFoldPredictions, patients: int) -> Array:
    """Confusion matrix of each patient, true class first, flattened: (r, n, classes²)."""
    k = len(result.classes)
    true = result.samples.y.astype(int) - result.classes[0]
    return per_patient(np.eye(k * k)[true * k + predicted.class_index], result.samples.subject, patients)


def confusion_statistics(parts: Array, kind: TaskKind) -> dict[str, Statistic]:
    """Accuracy; for stems within ±1 and quadratic kappa; for the disease balanced accuracy."""
    k = round(parts.shape[-1] ** 0.5)
    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))

    def table(total: Array) -> Array:
        return total.reshape(*total.shape[:-1], k, k)

    def share(total: Array, counts: npt.NDArray[np.bool_]) -> Array:
        return np.asarray((table(total) * counts).sum(axis=(-2, -1)) / total.sum(axis=-1))

    def kappa(total: Array) -> Array:
        t = table(total) / total.sum(axis=-1)[..., None, None]
        by_chance = t.sum(axis=-1)[..., :, None] * t.sum(axis=-2)[..., None, :]
        weight = distance**2
        return np.asarray(1 - (t * weight).sum(axis=(-2, -1)) / (by_chance * weight).sum(axis=(-2, -1)))

    def balanced(total: Array) -> Array:
        t = table(total)
        return np.asarray(np.nanmean(np.diagonal(t, axis1=-2, axis2=-1) / t.sum(axis=-1), axis=-1))

    formulas: dict[str, Callable[[Array], Array]] = {"accuracy": lambda t: share(t, distance == 0)}
    if kind is TaskKind.STEMS:
        formulas |= {"within_1": lambda t: share(t, distance <= 1), "quadratic_kappa": kappa}
    else:
        formulas |= {"balanced_accuracy": balanced}
    return {name: sums(parts, formula) for name, formula in formulas.items()}


def both_sides_right(result: TaskResult, predicted: OutOfFoldPredictions, patients: int) -> Statistic:
    """Share of patients with a correct prediction for every sample."""
    true = result.samples.y.astype(int) - result.classes[0]
    counts = np.stack([np.ones_like(predicted.class_index), predicted.class_index == true], axis=-1).astype(float)
    parts = per_patient(counts, result.samples.subject, patients)
    right = np.stack([parts[..., 0] > 0, (parts[..., 0] > 0) & (parts[..., 0] == parts[..., 1])], axis=-1)
    return sums(right.astype(float), lambda t: t[..., 1] / t[..., 0])


def probability_statistics(result: TaskResult, predicted: OutOfFoldPredictions, patients: int) -> dict[str, Statistic]:
    """Brier score (sum over the classes, 0 to 2), expected calibration error, macro area under the curve."""
    true = result.samples.y.astype(int) - result.classes[0]
    square = np.square(predicted.probability - np.eye(len(result.classes))[true]).sum(axis=-1)
    brier = per_patient(np.stack([np.ones_like(square), square], axis=-1), result.samples.subject, patients)
    bins = per_patient(calibration_bins(result, predicted), result.samples.subject, patients)

    def ece(total: Array) -> Array:
        cells = total.reshape(*total.shape[:-1], ECE_BINS, 3)
        return np.asarray(np.abs(cells[..., 1] - cells[..., 2]).sum(axis=-1) / cells[..., 0].sum(axis=-1))

    return {
        "brier": sums(brier, lambda t: t[..., 1] / t[..., 0]),
        "ece": sums(bins, ece),
        "macro_auc": pairs(result, predicted, patients),
    }


def calibration_bins(result: TaskResult, predicted: OutOfFoldPredictions) -> Array:
    """Per sample and bin of the predicted probability: count, probability, correctness, (r, m, 3 * bins)."""
    true = result.samples.y.astype(int) - result.classes[0]
    sure = np.take_along_axis(predicted.probability, predicted.class_index[..., None], axis=-1)[..., 0]
    place = np.minimum((sure * ECE_BINS).astype(int), ECE_BINS - 1)
    cells = np.stack([np.ones_like(sure), sure, predicted.class_index == true], axis=-1)
    wide = np.eye(ECE_BINS)[place][..., None] * cells[..., None, :]
    return np.asarray(wide.reshape(*sure.shape, -1))


def pairs(result: TaskResult, predicted: OutOfFoldPredictions, patients: int) -> Statistic:
    """Area under the ROC curve of each class against the rest, averaged over the classes present."""
    k = len(result.classes)
    subject, true = result.samples.subject, result.samples.y.astype(int) - result.classes[0]
    is_class = np.zeros((k, patients))
    is_other = np.zeros((k, patients))
    wins = np.zeros((k, patients, patients))
    for c in range(k):
        p = predicted.probability[..., c]
        own, other = np.flatnonzero(true == c), np.flatnonzero(true != c)
        above = p[:, own, None] > p[:, None, other]
        equal = p[:, own, None] == p[:, None, other]
        np.add.at(wins[c], (subject[own][:, None], subject[other][None]), (above + 0.5 * equal).mean(axis=0))
        np.add.at(is_class[c], subject[own], 1.0)
        np.add.at(is_other[c], subject[other], 1.0)

    def value(weights: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            won = np.stack([((weights @ w) * weights).sum(axis=1) for w in wins], axis=1)
            areas = won / ((weights @ is_class.T) * (weights @ is_other.T))
        some = np.isfinite(areas)
        return np.asarray(np.where(some, areas, 0).sum(axis=1) / np.where(some.any(axis=1), some.sum(axis=1), np.nan))

    return value
