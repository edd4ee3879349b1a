"""Series with a map that the scanner made → its values, in the unit of what it measures.

The scale comes from the real-world value mapping (PS3.3 C.7.6.16.2.11) where it names a unit, else from the range of
the rescaled values where that leaves one reading only; otherwise the map is not used.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from pydicom import Dataset

from lnc_dicom.errors import StudyRejected, UnknownScale, UnreadableSeries
from lnc_dicom.study.attributes import item
from lnc_dicom.study.load import load
from lnc_dicom.types import Caveat, Series

SCALE_ASSUMED = "LNC-407"
"""Caveat: the header does not name the unit of a map; it was told from the range of its values."""

_PER_100_G = {"ml/[100]g/min", "ml/(100.g)/min", "ml/100g/min", "ml/min/100g", "ml/(100.g.min)"}
_PER_G = {"ml/g/min", "ml/min/g", "ml/(g.min)"}

FA_THOUSAND = (100.0, 1100.0)
"""FA times 1000: the largest values of a brain are 700 to 1000, noise outside reaches the end of the scale."""
FA_ONE = (0.3, 1.1)
CBF_TYPICAL = (10.0, 200.0)
"""Median of the positive values, which are a head's, in ml/100 g/min."""


@dataclass(frozen=True, slots=True, eq=False)
class ScannerMap:
    """A map as it was stored.

    volume
        float32, after real-world mapping where there is one, else after rescale.
    unit
        UCUM code that the header gives to the values, "" where it is silent.
    """

    volume: Volume = field(repr=False)
    unit: str


def load_map(series: Series) -> ScannerMap:
    """Read a map. Raises UnreadableSeries."""
    try:
        rescaled, headers = load(series)
    except StudyRejected as error:
        raise UnreadableSeries(error.what) from error
    mapping = _mapping(headers[0])
    unit = str(item(mapping, "MeasurementUnitsCodeSequence").get("CodeValue") or "")
    slope, intercept = mapping.get("RealWorldValueSlope"), mapping.get("RealWorldValueIntercept")
    if slope is None or intercept is None:
        return ScannerMap(rescaled, unit)
    return ScannerMap(rescaled.with_array(_real(rescaled.array, headers[0], float(slope), float(intercept))), unit)


def _mapping(header: Dataset) -> Dataset:
    """Real-world value mapping of the image or of its first frame."""
    frames = header.get("PerFrameFunctionalGroupsSequence") or [Dataset()]
    places = (header, item(header, "SharedFunctionalGroupsSequence"), frames[0])
    return next((item(p, _RWVM) for p in places if item(p, _RWVM)), Dataset())


_RWVM = "RealWorldValueMappingSequence"


def _real(
    rescaled: npt.NDArray[np.float32], header: Dataset, slope: float, intercept: float
) -> npt.NDArray[np.float32]:
    """Apply a real-world mapping, which works on stored values, to rescaled ones."""
    frames = header.get("PerFrameFunctionalGroupsSequence") or [Dataset()]
    shared = item(header, "SharedFunctionalGroupsSequence")
    macro = item(frames[0], "PixelValueTransformationSequence") or item(shared, "PixelValueTransformationSequence")
    scaling = macro or header
    stored = (rescaled - float(scaling.get("RescaleIntercept", 0) or 0)) / float(scaling.get("RescaleSlope", 1) or 1)
    return np.asarray(stored * slope + intercept, np.float32)


def to_fa(found: ScannerMap) -> tuple[Volume, tuple[Caveat, ...]]:
    """Bring a map to FA, 0 to 1, nan where it is 0 (the scanner masks the background). Raises UnknownScale."""
    positive = found.volume.array[found.volume.array > 0]
    high = float(np.percentile(positive, 99.9)) if positive.size else 0.0
    caveats: tuple[Caveat, ...] = ()
    if FA_ONE[0] <= high <= FA_ONE[1]:
        scale = 1.0
    elif FA_THOUSAND[0] <= high <= FA_THOUSAND[1]:
        scale = 1000.0
        caveats = (Caveat(SCALE_ASSUMED, "FA: the header names no scale; its range is that of FA times 1000"),)
    else:
        raise UnknownScale(f"FA reaches {high:.4g}, which is neither 1 nor 1000")
    values = np.where(found.volume.array > 0, np.clip(found.volume.array / scale, 0, 1), np.nan)
    return found.volume.with_array(values.astype(np.float32)), caveats


def to_cbf(found: ScannerMap) -> tuple[Volume, tuple[Caveat, ...]]:
    """Bring a map to ml/100 g/min, nan where it is 0 (the scanner masks the background). Raises UnknownScale."""
    unit = found.unit.replace(" ", "").lower()
    values = np.where(found.volume.array == 0, np.nan, found.volume.array).astype(np.float32)
    if unit in _PER_100_G:
        return found.volume.with_array(values), ()
    if unit in _PER_G:
        return found.volume.with_array(values * 100), ()
    positive = values[values > 0]
    middle = float(np.median(positive)) if positive.size else 0.0
    if unit not in {"", "1"} or not CBF_TYPICAL[0] <= middle <= CBF_TYPICAL[1]:
        raise UnknownScale(f"CBF without a unit that is known, median {middle:.4g}")
    caveat = Caveat(SCALE_ASSUMED, "CBF: the header names no unit; its range is that of ml/100 g/min")
    return found.volume.with_array(values), (caveat,)
