"""Patients kept aside → the calibration of a network, and how well it did on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lnc_dicom.biomarker.calibration import Calibration, conformal_width, fit_stems, fit_temperature
from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.network import Outputs
from lnc_dicom.biomarker.train.targets import Scales

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Skill:
    """How well a network did on patients kept aside, before calibration saw them.

    rmse, mean_rmse
        Per region, FA and CBF: root mean squared error of the network, and of always saying the training mean.
    stems_rmse, stems_mean_rmse
        The same for stems.
    accuracy
        Share of patients whose category is the likeliest.
    """

    patients: int
    rmse: tuple[tuple[float, float], ...]
    mean_rmse: tuple[tuple[float, float], ...]
    stems_rmse: float
    stems_mean_rmse: float
    accuracy: float


def calibrate(outputs: Outputs, cohort: Cohort, scales: Scales, group_names: tuple[str, ...]) -> Calibration:
    """Fit everything between the heads and the results."""
    scores = _scores(outputs, cohort, scales)
    raw = scales.stems[0] + scales.stems[1] * outputs.stems.numpy().astype(float)
    line, sd = fit_stems(raw.ravel(), cohort.stems.astype(float).ravel())
    return Calibration(
        maps=tuple(tuple((float(m), float(s)) for m, s in region) for region in scales.maps),
        widths=(conformal_width(scores[..., 0]), conformal_width(scores[..., 1])),
        stems=(float(scales.stems[0]), float(scales.stems[1])),
        stems_line=line,
        stems_sd=sd,
        temperature=fit_temperature(outputs.groups.numpy().astype(float), cohort.groups(group_names)),
        farthest=float(outputs.distance.max()),
        patients=len(cohort),
    )


def measure_skill(outputs: Outputs, cohort: Cohort, scales: Scales, group_names: tuple[str, ...]) -> Skill:
    """Compare with the truth and with always saying the mean of the training patients."""
    regions = len(cohort.regions)
    scale = np.concatenate([scales.maps, scales.maps])
    error = (outputs.maps.numpy() * scale[..., 1] + scale[..., 0] - cohort.measured).reshape(-1, regions, 2)
    plain = (scale[..., 0] - cohort.measured).reshape(-1, regions, 2)
    stems = scales.stems[0] + scales.stems[1] * outputs.stems.numpy() - cohort.stems
    right = outputs.groups.numpy().argmax(axis=1) == cohort.groups(group_names)

    def rms(values: Array) -> tuple[tuple[float, float], ...]:
        table = np.sqrt(np.nanmean(values**2, axis=0))
        return tuple((float(fa), float(cbf)) for fa, cbf in table)

    return Skill(
        len(cohort),
        rms(error),
        rms(plain),
        float(np.sqrt((stems**2).mean())),
        float(np.sqrt(((scales.stems[0] - cohort.stems) ** 2).mean())),
        float(right.mean()),
    )


def _scores(outputs: Outputs, cohort: Cohort, scales: Scales) -> Array:
    """Residuals in predicted SDs, (n, s, 2); nan where nothing was measured."""
    scale = np.concatenate([scales.maps, scales.maps])
    target = (cohort.measured - scale[..., 0]) / scale[..., 1]
    return np.asarray((target - outputs.maps.numpy()) / np.exp(outputs.log_sd.numpy()))
