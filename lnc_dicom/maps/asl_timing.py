"""Arterial spin labelling series → its timing, from dcm2niix's description, else from the options with a caveat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from highdicom import Volume

from lnc_dicom.errors import UnsupportedLabelling
from lnc_dicom.options import PerfusionOptions
from lnc_dicom.study.asl_series import CONTRAST
from lnc_dicom.study.attributes import attributes_of
from lnc_dicom.study.dcm2niix import Converted
from lnc_dicom.study.values import element_text
from lnc_dicom.types import Caveat, Series

ASSUMED = "LNC-405"
"""Caveat: a parameter of CBF is not in the header and was taken from the settings."""

_PULSED_WORDS = {"pasl", "fair", "picore", "quipss", "quipssii", "q2tips", "epistar", "star"}

_KINDS = {"PASL": "PASL", "PULSED": "PASL", "PCASL": "PCASL", "PSEUDOCONTINUOUS": "PCASL", "CASL": "CASL"}
_KINDS["CONTINUOUS"] = "CASL"
_BOLUS = ("BolusDuration", "BolusCutOffDelayTime")
_DURATIONS = ("LabelingDuration", "TagDuration")
_DELAYS = ("PostLabelingDelay", "InitialPostLabelDelay", "PostLabelDelay")
_INVERSIONS = ("PostLabelingDelay", "InversionTime", "InitialPostLabelDelay", "PostLabelDelay")
"""Names in dcm2niix's description, and in BIDS; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class ImageTimes:
    """What the images themselves tell of their timing.

    delays_ms
        Every delay that occurs; empty where the images name none.
    slices_s
        When each slice of a volume was acquired, along the first axis of the grid; empty where the images do not say.
    """

    delays_ms: tuple[float, ...] = ()
    slices_s: tuple[float, ...] = ()


NO_TIMES = ImageTimes()
MAX_SLICES_S = 10.0
"""Slices of one volume are acquired within less."""


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """Kind and times of the labelling, in ms.

    duration_ms
        Labelling duration; for pulsed labelling the duration of the bolus, TI1.
    delay_ms
        Post-label delay; for pulsed labelling the inversion time. Of slices that are acquired one after the other each
        has its own: shape (slices, 1, 1), else (1, 1, 1). Of several delays the shortest.
    slice_ms
        What of `delay_ms` comes from the slices: 0 for the one that is acquired first.
    """

    kind: str
    duration_ms: float
    delay_ms: npt.NDArray[np.float64] = field(repr=False)
    caveats: tuple[Caveat, ...] = ()
    slice_ms: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 1, 1)), repr=False)

    @property
    def is_pulsed(self) -> bool:
        """Whether one pulse labels the blood, not a train of pulses."""
        return self.kind == "PASL"


def timing_of(
    series: Series, converted: Converted, grid: Volume, options: PerfusionOptions, image_times: ImageTimes = NO_TIMES
) -> Timing:
    """Find the timing of a series whose volumes lie on `grid`.

    image_times
        What the images say where dcm2niix says nothing.

    Raises UnsupportedLabelling where there are several delays and the header does not say which volume has which.
    """
    description, delays_ms = converted.description, image_times.delays_ms
    kind, assumed = _kind(series, converted)
    if kind == "PASL":
        durations, duration_ms, name = _BOLUS, options.bolus_duration_ms, "duration of the bolus"
    else:
        durations, duration_ms, name = _DURATIONS, options.labelling_duration_ms, "labelling duration"
    duration, assumed_duration = _known(_first(description, durations), duration_ms, name)
    assumed_delay: list[str] = []
    if len(delays_ms) > 1:
        delay = min(delays_ms)
    else:
        named_s = _one_delay(_first(description, _INVERSIONS if kind == "PASL" else _DELAYS))
        named_s = named_s or (delays_ms[0] / 1000 if delays_ms else None)
        delay, assumed_delay = _known(named_s, options.post_label_delay_ms, "post-label delay")
    slice_ms = _slice_times_ms(converted, grid)
    if slice_ms is None:
        slice_ms, unknown = _by_image_ms(image_times, grid)
        assumed_delay += unknown
    assumed += assumed_duration + assumed_delay
    text = f"not in the header, taken from the settings: {', '.join(assumed)}"
    caveats = (Caveat(ASSUMED, text, is_our_text=True),) if assumed else ()
    return Timing(kind, duration, delay + slice_ms, caveats, slice_ms)


def _kind(series: Series, converted: Converted) -> tuple[str, list[str]]:
    """Give the kind of labelling, and what had to be assumed."""
    description = converted.description
    named = str(description.get("ArterialSpinLabelingType") or _coded_kind(series)).upper()
    kind = _KINDS.get(named)
    if kind == "CASL" and description.get("Manufacturer") == "GE":
        kind = "PCASL"  # the name that GE gives to the reference image of its pseudo-continuous sequence
    if kind:
        return kind, []
    words = attributes_of(series).words
    if words & _PULSED_WORDS or ("BolusDuration" in description and "LabelingDuration" not in description):
        return "PASL", []
    known = any(word.endswith("casl") for word in words) or "LabelingDuration" in description
    return "PCASL", [] if known else ["pseudo-continuous labelling"]


def _coded_kind(series: Series) -> str:
    """Give Arterial Spin Labeling Contrast (0018,9250); "" where it is absent."""
    header = pydicom.dcmread(series.instances[0].path, stop_before_pixels=True, specific_tags=[CONTRAST])
    return element_text(header, CONTRAST)


def _first(description: Mapping[str, Any], names: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    return next((description[name] for name in names if description.get(name)), None)


def _one_delay(found_s: Any) -> Any:  # noqa: ANN401 - JSON
    """Give the one delay that a description names. Raises UnsupportedLabelling for several."""
    if not isinstance(found_s, list):
        return found_s
    known = sorted({s for s in found_s if isinstance(s, (int, float)) and s > 0})
    if len(known) > 1:
        several = f"{len(known)} post-label delays from {1000 * known[0]:.0f} to {1000 * known[-1]:.0f} ms"
        raise UnsupportedLabelling(f"{several}, and the header does not say which volume has which")
    return known[0] if known else None


def _known(found_s: object, default_ms: float, name: str) -> tuple[float, list[str]]:
    """Give a time in ms, and what was assumed if the header does not say."""
    if isinstance(found_s, (int, float)) and found_s > 0:
        return float(found_s) * 1000, []
    return default_ms, [f"{name} {default_ms:.0f} ms"]


def _slice_times_ms(converted: Converted, grid: Volume) -> npt.NDArray[np.float64] | None:
    """Give the time of every slice after the first, to be broadcast on the grid; 0 where all are acquired at once.

    dcm2niix puts the slices along its third axis. Which axis of the grid that is, its affine tells. None where slices
    are acquired one after the other and dcm2niix does not know when.
    """
    if converted.description.get("MRAcquisitionType") != "2D":
        return np.zeros((1, 1, 1))
    times_s = np.array(converted.description.get("SliceTiming") or [], np.float64)
    along = converted.lps_mm[:3, 2] @ (grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0))
    axis = int(np.argmax(np.abs(along)))
    if times_s.size != grid.shape[axis]:
        return None
    return _along(times_s[::-1] if along[axis] < 0 else times_s, axis)


def _by_image_ms(image_times: ImageTimes, grid: Volume) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Give the same from the acquisition times of the images, and what had to be assumed where they do not tell."""
    times_s = np.array(image_times.slices_s, np.float64)
    if times_s.size == grid.shape[0] and 0 < np.ptp(times_s) < MAX_SLICES_S:
        return _along(times_s, 0), []
    return np.zeros((1, 1, 1)), ["all slices acquired at the time of the first"]


def _along(times_s: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    shape = [1, 1, 1]
    shape[axis] = -1
    return np.asarray(1000 * (times_s - times_s.min())).reshape(shape)
