"""Held-out patients → the calibration of a network, and its skill on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lnc_dicom.biomarker.calibration import COVERAGE, HALF_WIDTH_SD, BiomarkerCalibration, fit_temperature
from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.network import Outputs
from lnc_dicom.biomarker.train.targets import Scales
from lnc_dicom.conformal import conformal_quantile

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Skill:
    """Errors of a network on the held-out patients, before calibration.

    rmse, mean_rmse
        Per region, for FA (no unit) and CBF (ml/100 g/min): root mean squared error of the network, and of the mean
        of the training patients.
    stems_rmse, stems_mean_rmse
        The same for the stems.
    accuracy
        Share of patients whose category is the most likely one.
    """

    patients: int
    rmse: tuple[tuple[float, float], ...]
    mean_rmse: tuple[tuple[float, float], ...]
    stems_rmse: float
    stems_mean_rmse: float
    accuracy: float


def calibrate(outputs: Outputs, cohort: Cohort, scales: Scales, group_names: tuple[str, ...]) -> BiomarkerCalibration:
    """Fit the calibration to the outputs for a cohort that the network was not trained on."""
    scores = _scores(outputs, cohort, scales)
    raw = scales.stems[0] + scales.stems[1] * outputs.stems.numpy().astype(float)
    line, sd = fit_stems(raw.ravel(), cohort.stems.astype(float).ravel())
    return BiomarkerCalibration(
        maps=tuple(tuple((float(m), float(s)) for m, s in region) for region in scales.maps),
        widths=(conformal_width(scores[..., 0]), conformal_width(scores[..., 1])),
        stems=(float(scales.stems[0]), float(scales.stems[1])),
        stems_line=line,
        stems_sd=sd,
        temperature=fit_temperature(outputs.groups.numpy().astype(float), cohort.groups(group_names)),
        farthest=float(outputs.distance.max()),
        patients=len(cohort),
    )


def conformal_width(scores: Array) -> float:
    """Half-width that covers 90 % of the regions of new patients, from scores (n, s); nan where not measured.

    The finite-sample correction (n + 1) / n counts the n patients, not their n * s scores, because the scores of one
    patient are correlated. Without any score it is the half-width of a normal distribution.
    """
    known = np.isfinite(scores)
    if not known.any():
        return HALF_WIDTH_SD
    return float(conformal_quantile(np.abs(scores[known]), COVERAGE, int(known.any(axis=1).sum())))


def fit_stems(predicted: Array, counted: Array) -> tuple[tuple[float, float], float]:
    """Offset and slope of the line from predicted to counted stems, and the residual SD.

    A negative slope means no skill and is set to 0.
    """
    slope = max(0.0, float(np.polyfit(predicted, counted, 1)[0])) if predicted.std() > 0 else 0.0
    offset = float(counted.mean() - slope * predicted.mean())
    return (offset, slope), float(np.std(counted - offset - slope * predicted, ddof=min(2, len(counted) - 1)))


def measure_skill(outputs: Outputs, cohort: Cohort, scales: Scales, group_names: tuple[str, ...]) -> Skill:
    """Compare the outputs with the truth, and with the mean of the training patients as the prediction."""
    regions = len(cohort.regions)
    scale = np.concatenate([scales.maps, scales.maps])
    error = (outputs.maps.numpy() * scale[..., 1] + scale[..., 0] - cohort.measured).reshape(-1, regions, 2)
    mean_error = (scale[..., 0] - cohort.measured).reshape(-1, regions, 2)
    stems = scales.stems[0] + scales.stems[1] * outputs.stems.numpy() - cohort.stems
    right = outputs.groups.numpy().argmax(axis=1) == cohort.groups(group_names)
    return Skill(
        len(cohort),
        _rmse(error),
        _rmse(mean_error),
        float(np.sqrt((stems**2).mean())),
        float(np.sqrt(((scales.stems[0] - cohort.stems) ** 2).mean())),
        float(right.mean()),
    )


def _rmse(errors: Array) -> tuple[tuple[float, float], ...]:
    """RMSE of FA and CBF per region from errors (m, regions, 2); nan where not measured."""
    return tuple((float(fa), float(cbf)) for fa, cbf in np.sqrt(np.nanmean(errors**2, axis=0)))


def _scores(outputs: Outputs, cohort: Cohort, scales: Scales) -> Array:
    """Residuals in predicted SDs, (n, s, 2); nan where not measured."""
    scale = np.concatenate([scales.maps, scales.maps])
    target = (cohort.measured - scale[..., 0]) / scale[..., 1]
    return np.asarray((target - outputs.maps.numpy()) / np.exp(outputs.log_sd.numpy()))
