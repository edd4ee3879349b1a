"""Perfusion series → CBF map, or relative CBF map.

The map that the scanner made if there is one; else computed from control, label and M0 (see `kinetic_model`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import NotMeasured, UnreadableSeries, UnsupportedLabelling
from lnc_dicom.maps.asl_timing import ASSUMED, ImageTimes, Timing, timing_of
from lnc_dicom.maps.asl_volumes import volumes
from lnc_dicom.maps.kinetic_model import consensus_cbf, fitted_cbf
from lnc_dicom.maps.labelling import Labelling, read_labelling
from lnc_dicom.maps.vendor_map import VendorMap, load_map, to_cbf
from lnc_dicom.options import PerfusionOptions
from lnc_dicom.quantities import Quantity
from lnc_dicom.study.attributes import is_mosaic
from lnc_dicom.study.dcm2niix import Converted, convert
from lnc_dicom.types import Caveat, QuantityMap, Role, Series

LONG_TR_MS = 5000.0
"""With a longer TR, M0 is fully relaxed (consensus paper)."""
MIN_DELAYS = 3
"""CBF and arrival time are fitted to so many delays or more."""


def cbf_map(map_series: Mapping[Role, Series], options: PerfusionOptions) -> QuantityMap | None:
    """Give CBF in ml/100 g/min: the scanner's map, or computed from control, label and M0; None without either.

    A map of the scanner that cannot be used is named in a caveat, and CBF is computed where there is labelling as well.
    Raises UnreadableSeries, UnknownScale, UnpairedVolumes, UnsupportedLabelling, NoM0.
    """
    if Role.CBF_MAP not in map_series:
        series = map_series.get(Role.LABELLING)
        return None if series is None else _computed(series, map_series.get(Role.M0), options)
    try:
        return _scanned(map_series)
    except NotMeasured as error:
        series = map_series.get(Role.CBF_REGISTRATION)
        if series is None:
            raise
        found = _computed(series, map_series.get(Role.M0), options)
        caveat = Caveat(error.code, f"the scanner's CBF map is not used: {error.what}", is_our_text=True)
        return replace(found, caveats=(caveat, *found.caveats))


def _scanned(map_series: Mapping[Role, Series]) -> QuantityMap:
    series = map_series[Role.CBF_MAP]
    found = load_vendor_map(series)
    scanned, caveats = to_cbf(found)
    image, sources = _registration_image(map_series, found.volume, (series,))
    method, itself = Role.CBF_MAP.value, len(sources) == 1
    return QuantityMap(Quantity.CBF, scanned, image, method, sources, caveats, registers_itself=itself)


def _computed(series: Series, m0: Series | None, options: PerfusionOptions) -> QuantityMap:
    converted = _described(series)
    labelling = read_labelling(series, converted, m0)
    return computed_map(series, converted, labelling, options, (series,) if m0 is None else (series, m0))


def computed_map(
    series: Series,
    converted: Converted,
    labelling: Labelling,
    options: PerfusionOptions,
    sources: tuple[Series, ...] = (),
) -> QuantityMap:
    """Compute CBF in ml/100 g/min, and say what was assumed. Raises UnsupportedLabelling.

    series, converted
        Where the timing stands; from files, a series without images.
    sources
        Series that the result names as its sources.
    """
    image_times = ImageTimes(tuple(labelling.by_delay), labelling.slices_s)
    timing = timing_of(series, converted, labelling.m0, options, image_times)
    values, model = quantify(labelling, timing, options)
    pairs = f"{labelling.pairs} pairs" if labelling.pairs else "subtracted by the scanner"
    caveats = (*labelling.caveats, *timing.caveats)
    if labelling.suppressed:
        share = f"share of the label that background suppression leaves {options.suppression_efficiency:g}"
        caveats += (Caveat(ASSUMED, f"not in the header, taken from the settings: {share}", is_our_text=True),)
    found = labelling.m0.with_array(values)
    return QuantityMap(Quantity.CBF, found, labelling.m0, f"{timing.kind}, {model}, {pairs}", sources, caveats)


def _described(series: Series) -> Converted:
    """Convert a series; where dcm2niix cannot, its headers tell what they can, but mosaics cannot be read otherwise."""
    try:
        return convert(series)
    except UnreadableSeries:
        if is_mosaic(series.header):
            raise
        description = {"MRAcquisitionType": str(series.header.get("MRAcquisitionType") or "")}
        return Converted(np.zeros((1, 1, 1, 1), np.float32), np.eye(4), description=description)


def load_vendor_map(series: Series) -> VendorMap:
    """Read a map that the scanner made; of a mosaic no header names a unit. Raises UnreadableSeries."""
    if not is_mosaic(series.header):
        return load_map(series)
    found = volumes(series)
    if len(found) != 1:
        raise UnreadableSeries(f"{len(found)} volumes in a series that should hold one map")
    return VendorMap(found[0].volume, "")


def relative_cbf_map(map_series: Mapping[Role, Series]) -> QuantityMap | None:
    """Give the scanner's relative CBF unchanged, in its arbitrary unit; None without one. Raises UnreadableSeries."""
    if Role.RELATIVE_CBF_MAP not in map_series:
        return None
    series = map_series[Role.RELATIVE_CBF_MAP]
    found = load_vendor_map(series)
    image, sources = _registration_image(map_series, found.volume, (series,))
    method, itself = Role.RELATIVE_CBF_MAP.value, len(sources) == 1
    return QuantityMap(Quantity.RELATIVE_CBF, found.volume, image, method, sources, registers_itself=itself)


def _registration_image(
    map_series: Mapping[Role, Series], itself: Volume, sources: tuple[Series, ...]
) -> tuple[Volume, tuple[Series, ...]]:
    """Choose the image to register to the T1: M0 of the labelling if it can be read, else the map itself."""
    for role in (Role.CBF_REGISTRATION, Role.LABELLING):
        if role in map_series:
            series = map_series[role]
            try:
                return read_labelling(series, None, map_series.get(Role.M0)).m0, (*sources, series)
            except NotMeasured:
                continue
    return itself, sources


def quantify(labelling: Labelling, timing: Timing, options: PerfusionOptions) -> tuple[npt.NDArray[np.float32], str]:
    """Compute CBF in ml/100 g/min on the grid of M0, nan outside the head; also name the model.

    M0 that was taken with a short TR is corrected for the relaxation that it lacks. Raises UnsupportedLabelling for two
    delays.
    """
    head = labelling.head
    m0 = np.where(head, np.asarray(labelling.m0.array, np.float64), 1.0)
    if labelling.m0_tr_ms is not None and labelling.m0_tr_ms < LONG_TR_MS:
        m0 = m0 / (1 - np.exp(-labelling.m0_tr_ms / options.tissue_t1_ms))
    efficiency = labelling.efficiency or (options.pasl_efficiency if timing.is_pulsed else options.pcasl_efficiency)
    efficiency *= options.suppression_efficiency if labelling.suppressed else 1.0
    if len(labelling.by_delay) > 1:
        if len(labelling.by_delay) < MIN_DELAYS:
            raise UnsupportedLabelling(f"{len(labelling.by_delay)} post-label delays, too few to fit arrival and CBF")
        shares = {delay: difference / m0 for delay, difference in labelling.by_delay.items()}
        values, arrival_s = fitted_cbf(shares, timing, efficiency, options)
        middle_ms = 1000 * float(np.median(arrival_s[head])) if head.any() else 0.0
        model = f"general kinetic model, {len(shares)} delays, median arrival {middle_ms:.0f} ms"
    else:
        values, model = consensus_cbf(labelling.difference / m0, timing, efficiency, options), "single compartment"
    return np.where(head, values, np.nan).astype(np.float32), model
