"""Series with a map that the scanner made → its values in the unit of the quantity.

The unit comes from the real-world value mapping (PS3.3 C.7.6.16.2.11). Where that names none, it is inferred from the
range of the values; where the range is ambiguous the map is not used.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from highdicom import Volume

from lnc_dicom.errors import StudyRejected, UnknownScale, UnreadableSeries
from lnc_dicom.study.attributes import real_world_mapping
from lnc_dicom.study.load import load
from lnc_dicom.study.values import item
from lnc_dicom.types import Caveat, Series

SCALE_ASSUMED = "LNC-407"
"""Caveat: the header does not name the unit of a map; it was inferred from the range of its values."""

_PER_100_G = {"ml/[100]g/min", "ml/(100.g)/min", "ml/100g/min", "ml/min/100g", "ml/(100.g.min)"}
_PER_G = {"ml/g/min", "ml/min/g", "ml/(g.min)"}

FA_THOUSAND = (100.0, 1100.0)
"""Range of the largest values of FA times 1000: 700 to 1000 in a brain; noise outside reaches the end of the scale."""
FA_ONE = (0.3, 1.1)
"""Range of the largest values of FA itself."""
CBF_TYPICAL = (10.0, 200.0)
"""Range of the median of the positive values, which are those of a head, in ml/100 g/min."""


@dataclass(frozen=True, slots=True, eq=False)
class VendorMap:
    """A map as it was stored.

    volume
        float32 real-world values where the header maps to them, else rescaled values.
    unit
        UCUM code of the values; "" where the header does not say.
    """

    volume: Volume = field(repr=False)
    unit: str


def load_map(series: Series) -> VendorMap:
    """Read a map. Raises UnreadableSeries, also for values beyond the range of the real-world mapping."""
    try:
        values, headers = load(series, real_world=True)
    except StudyRejected as error:
        raise UnreadableSeries(error.what) from error
    unit = item(real_world_mapping(headers[0]), "MeasurementUnitsCodeSequence")
    return VendorMap(values, str(unit.get("CodeValue") or ""))


def to_fa(found: VendorMap) -> tuple[Volume, tuple[Caveat, ...]]:
    """Convert a map to FA, 0 to 1; nan where it is 0: the scanner masks the background. Raises UnknownScale."""
    positive = found.volume.array[found.volume.array > 0]
    high = float(np.percentile(positive, 99.9)) if positive.size else 0.0
    caveats: tuple[Caveat, ...] = ()
    if FA_ONE[0] <= high <= FA_ONE[1]:
        scale = 1.0
    elif FA_THOUSAND[0] <= high <= FA_THOUSAND[1]:
        scale = 1000.0
        text = "FA: the header names no scale; its range is that of FA times 1000"
        caveats = (Caveat(SCALE_ASSUMED, text, is_our_text=True),)
    else:
        raise UnknownScale(f"FA reaches {high:.4g}, which fits neither 1 nor 1000")
    values = np.where(found.volume.array > 0, np.clip(found.volume.array / scale, 0, 1), np.nan)
    return found.volume.with_array(values.astype(np.float32)), caveats


def to_cbf(found: VendorMap) -> tuple[Volume, tuple[Caveat, ...]]:
    """Convert a map to ml/100 g/min; nan where it is 0: the scanner masks the background. Raises UnknownScale."""
    unit = found.unit.replace(" ", "").lower()
    values = np.where(found.volume.array == 0, np.nan, found.volume.array).astype(np.float32)
    if unit in _PER_100_G:
        return found.volume.with_array(values), ()
    if unit in _PER_G:
        return found.volume.with_array(values * 100), ()
    positive = values[values > 0]
    middle = float(np.median(positive)) if positive.size else 0.0
    if unit not in {"", "1"} or not CBF_TYPICAL[0] <= middle <= CBF_TYPICAL[1]:
        raise UnknownScale(f"CBF without a known unit, median {middle:.4g}")
    text = "CBF: the header names no unit; its range is that of ml/100 g/min"
    caveat = Caveat(SCALE_ASSUMED, text, is_our_text=True)
    return found.volume.with_array(values), (caveat,)
