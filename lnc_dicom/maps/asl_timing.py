"""Headers of arterial spin labelling → its timing, from dcm2niix's description, else from the options with a caveat."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.maps.dcm2niix import Converted
from lnc_dicom.options import PerfusionOptions
from lnc_dicom.study.attributes import traits_of
from lnc_dicom.types import Caveat, Series

ASSUMED = "LNC-405"
"""Caveat: a number that CBF depends on is not in the header and was taken from the settings."""

_PULSED_WORDS = {"pasl", "fair", "picore", "quipss", "quipssii", "q2tips", "epistar", "star"}


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """When was labelled and when read, in ms.

    duration_ms
        Labelling duration; of pulsed labelling the duration of the bolus, TI1.
    delay_ms
        Post-label delay; of pulsed labelling the inversion time. One per slice, shaped (slices, 1, 1), where slices
        are read one after the other.
    """

    kind: str
    duration_ms: float
    delay_ms: npt.NDArray[np.float64] = field(repr=False)
    caveats: tuple[Caveat, ...] = ()

    @property
    def is_pulsed(self) -> bool:
        """Whether the label is one pulse instead of a train."""
        return self.kind == "PASL"


def timing_of(series: Series, converted: Converted, grid: Volume, options: PerfusionOptions) -> Timing:
    """Find the timing of a series whose volumes lie on `grid`, axes (slice, row, column)."""
    told = converted.description
    kind, assumed = _kind(series, converted)
    if kind == "PASL":
        duration_s, duration_ms, name = told.get("BolusDuration"), options.bolus_duration_ms, "duration of the bolus"
        delay_s = told.get("PostLabelingDelay") or told.get("InversionTime")
    else:
        duration_s, duration_ms = told.get("LabelingDuration"), options.labelling_duration_ms
        name, delay_s = "labelling duration", told.get("PostLabelingDelay")
    duration, said = _known(duration_s, duration_ms, name)
    delay, said_too = _known(delay_s, options.post_label_delay_ms, "post-label delay")
    assumed += said + said_too
    caveats = (Caveat(ASSUMED, f"not in the header, taken from the settings: {', '.join(assumed)}"),) if assumed else ()
    return Timing(kind, duration, delay + _slice_times_ms(converted, grid), caveats)


def _kind(series: Series, converted: Converted) -> tuple[str, list[str]]:
    """Pulsed or pseudo-continuous, and whether that had to be assumed."""
    told = str(converted.description.get("ArterialSpinLabelingType") or "").upper()
    words = traits_of(series).words
    if told in {"PASL", "PCASL", "CASL"}:
        return told, []
    if words & _PULSED_WORDS:
        return "PASL", []
    return "PCASL", [] if any(word.endswith("casl") for word in words) else ["pseudo-continuous labelling"]


def _known(told_s: object, otherwise_ms: float, name: str) -> tuple[float, list[str]]:
    """Give a time in ms, and how it was assumed if the header does not tell it."""
    told = told_s[0] if isinstance(told_s, list) and told_s and len(set(told_s)) == 1 else told_s
    if isinstance(told, (int, float)) and told > 0:
        return float(told) * 1000, []
    return otherwise_ms, [f"{name} {otherwise_ms:.0f} ms"]


def _slice_times_ms(converted: Converted, grid: Volume) -> npt.NDArray[np.float64]:
    """Time of every slice after the first, where slices are read one after the other; else 0."""
    told = converted.description
    times_s = np.array(told.get("SliceTiming") or [], np.float64)
    if told.get("MRAcquisitionType") != "2D" or times_s.size != grid.shape[0]:
        return np.zeros((1, 1, 1))
    if float(converted.lps_mm[:3, 2] @ grid.affine[:3, 0]) < 0:
        times_s = times_s[::-1]
    return np.asarray(1000 * (times_s - times_s.min())).reshape(-1, 1, 1)
