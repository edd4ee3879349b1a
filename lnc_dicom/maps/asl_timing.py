"""Arterial spin labelling series → its timing, from dcm2niix's description, else from the options with a caveat."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.options import PerfusionOptions
from lnc_dicom.study.attributes import attributes_of
from lnc_dicom.study.dcm2niix import Converted
from lnc_dicom.types import Caveat, Series

ASSUMED = "LNC-405"
"""Caveat: a parameter of CBF is not in the header and was taken from the settings."""

_PULSED_WORDS = {"pasl", "fair", "picore", "quipss", "quipssii", "q2tips", "epistar", "star"}


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """Kind and times of the labelling, in ms.

    duration_ms
        Labelling duration; for pulsed labelling the duration of the bolus, TI1.
    delay_ms
        Post-label delay; for pulsed labelling the inversion time. Shape (slices, 1, 1) where slices are acquired one
        after the other, else (1, 1, 1).
    """

    kind: str
    duration_ms: float
    delay_ms: npt.NDArray[np.float64] = field(repr=False)
    caveats: tuple[Caveat, ...] = ()

    @property
    def is_pulsed(self) -> bool:
        """Whether one pulse labels the blood, not a train of pulses."""
        return self.kind == "PASL"


def timing_of(series: Series, converted: Converted, grid: Volume, options: PerfusionOptions) -> Timing:
    """Find the timing of a series whose volumes lie on `grid`, axes (slice, row, column)."""
    description = converted.description
    kind, assumed = _kind(series, converted)
    if kind == "PASL":
        duration_s, duration_ms, name = (
            description.get("BolusDuration"),
            options.bolus_duration_ms,
            "duration of the bolus",
        )
        delay_s = description.get("PostLabelingDelay") or description.get("InversionTime")
    else:
        duration_s, duration_ms = description.get("LabelingDuration"), options.labelling_duration_ms
        name, delay_s = "labelling duration", description.get("PostLabelingDelay")
    duration, assumed_duration = _known(duration_s, duration_ms, name)
    delay, assumed_delay = _known(delay_s, options.post_label_delay_ms, "post-label delay")
    assumed += assumed_duration + assumed_delay
    text = f"not in the header, taken from the settings: {', '.join(assumed)}"
    caveats = (Caveat(ASSUMED, text, is_our_text=True),) if assumed else ()
    return Timing(kind, duration, delay + _slice_times_ms(converted, grid), caveats)


def _kind(series: Series, converted: Converted) -> tuple[str, list[str]]:
    """Give the kind of labelling, and what had to be assumed."""
    named = str(converted.description.get("ArterialSpinLabelingType") or "").upper()
    words = attributes_of(series).words
    if named in {"PASL", "PCASL", "CASL"}:
        return named, []
    if words & _PULSED_WORDS:
        return "PASL", []
    return "PCASL", [] if any(word.endswith("casl") for word in words) else ["pseudo-continuous labelling"]


def _known(found_s: object, default_ms: float, name: str) -> tuple[float, list[str]]:
    """Give a time in ms, and what was assumed if the header does not say."""
    value_s = found_s[0] if isinstance(found_s, list) and found_s and len(set(found_s)) == 1 else found_s
    if isinstance(value_s, (int, float)) and value_s > 0:
        return float(value_s) * 1000, []
    return default_ms, [f"{name} {default_ms:.0f} ms"]


def _slice_times_ms(converted: Converted, grid: Volume) -> npt.NDArray[np.float64]:
    """Give the time of every slice after the first, to be broadcast on the grid; 0 where all are acquired at once.

    dcm2niix puts the slices along its third axis. Which axis of the grid that is, its affine tells.
    """
    times_s = np.array(converted.description.get("SliceTiming") or [], np.float64)
    along = converted.lps_mm[:3, 2] @ (grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0))
    axis = int(np.argmax(np.abs(along)))
    if converted.description.get("MRAcquisitionType") != "2D" or times_s.size != grid.shape[axis]:
        return np.zeros((1, 1, 1))
    if along[axis] < 0:
        times_s = times_s[::-1]
    shape = [1, 1, 1]
    shape[axis] = -1
    return np.asarray(1000 * (times_s - times_s.min())).reshape(shape)
