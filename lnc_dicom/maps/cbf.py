"""Perfusion series → CBF map, or relative CBF map.

The map that the scanner made if there is one; else computed from control, label and M0 by the single-compartment model
of the consensus paper (Alsop et al., Magn Reson Med 2015; 73:102, equations 1 and 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import NoM0, UnpairedVolumes
from lnc_dicom.geometry.resampling import resample
from lnc_dicom.maps.asl_timing import ASSUMED, Timing, timing_of
from lnc_dicom.maps.asl_volumes import Context, volumes
from lnc_dicom.maps.vendor_map import load_map, to_cbf
from lnc_dicom.options import PerfusionOptions
from lnc_dicom.quantities import Quantity
from lnc_dicom.study.attributes import attributes_of
from lnc_dicom.study.dcm2niix import Converted, convert
from lnc_dicom.types import Caveat, QuantityMap, Role, Series

ORDER_ASSUMED = "LNC-406"
"""Caveat: the header does not say which volumes are control and which label; they are assumed to alternate."""

SAME_GRID_MM = 0.1
"""Grids whose affines differ by less are one."""
BRIGHT_FACTOR = 3.0
"""A pair this much brighter than the others was acquired without background suppression: it serves as M0."""
SUPPRESSED_SHARE = 0.5
"""Control images darker than this share of M0 were acquired with background suppression, which attenuates the label."""
LONG_TR_MS = 5000.0
"""With a longer TR, M0 is fully relaxed (consensus paper)."""
MIN_M0_SHARE = 0.15
"""Voxels where M0 is below this share of its 99th percentile lie outside the head; they get no CBF."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelling:
    """Control minus label and M0 of one acquisition of arterial spin labelling.

    difference
        Mean of control minus label, in the scanner's signal, axes of `m0`.
    m0
        Image without labelling and without background suppression.
    m0_tr_ms
        TR of M0; None where the header does not say.
    pairs
        Number of pairs of control and label.
    suppressed
        Whether the pairs were acquired with background suppression.
    """

    difference: npt.NDArray[np.float32] = field(repr=False)
    m0: Volume = field(repr=False)
    m0_tr_ms: float | None
    pairs: int
    caveats: tuple[Caveat, ...] = ()
    suppressed: bool = False


def cbf_map(map_series: Mapping[Role, Series], options: PerfusionOptions) -> QuantityMap | None:
    """Give CBF in ml/100 g/min: the scanner's map, or computed from control, label and M0; None without either.

    Raises UnreadableSeries, UnknownScale, UnpairedVolumes, NoM0.
    """
    if Role.CBF_MAP in map_series:
        series = map_series[Role.CBF_MAP]
        found = load_map(series)
        scanned, caveats = to_cbf(found)
        image, sources = _registration_image(map_series, found.volume, (series,))
        method, itself = Role.CBF_MAP.value, len(sources) == 1
        return QuantityMap(Quantity.CBF, scanned, image, method, sources, caveats, registers_itself=itself)
    if Role.LABELLING not in map_series:
        return None
    series = map_series[Role.LABELLING]
    converted = convert(series)
    labelling = read_labelling(series, converted, map_series.get(Role.M0))
    timing = timing_of(series, converted, labelling.m0, options)
    values = quantify(labelling, timing, options)
    method = f"{timing.kind}, single compartment, {labelling.pairs} pairs"
    sources = tuple(map_series[role] for role in (Role.LABELLING, Role.M0) if role in map_series)
    caveats = (*labelling.caveats, *timing.caveats)
    if labelling.suppressed:
        share = f"share of the label that background suppression leaves {options.suppression_efficiency:g}"
        caveats += (Caveat(ASSUMED, f"not in the header, taken from the settings: {share}", is_our_text=True),)
    return QuantityMap(Quantity.CBF, labelling.m0.with_array(values), labelling.m0, method, sources, caveats)


def relative_cbf_map(map_series: Mapping[Role, Series]) -> QuantityMap | None:
    """Give the scanner's relative CBF unchanged, in its arbitrary unit; None without one. Raises UnreadableSeries."""
    if Role.RELATIVE_CBF_MAP not in map_series:
        return None
    series = map_series[Role.RELATIVE_CBF_MAP]
    found = load_map(series)
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
            except (NoM0, UnpairedVolumes):
                continue
    return itself, sources


def read_labelling(series: Series, converted: Converted | None, m0_series: Series | None) -> Labelling:
    """Sort the volumes of a series into control, label and M0. Raises UnreadableSeries, UnpairedVolumes, NoM0.

    converted
        The same series from dcm2niix; control and label alternate in its order where the header does not name them.
    """
    caveats: tuple[Caveat, ...] = ()
    read = volumes(series, converted)
    found = {context: [v.volume for v in read if v.context is context] for context in (*Context, None)}
    control, label, m0 = found[Context.CONTROL], found[Context.LABEL], found[Context.M0]
    if not control and not label:
        control, label, m0 = alternate(found[None])
        text = "control and label are not named in the header; assumed to alternate"
        caveats = (Caveat(ORDER_ASSUMED, text, is_our_text=True),)
    if not control or len(control) != len(label):
        raise UnpairedVolumes(f"{len(control)} control and {len(label)} label volumes")
    if not m0:
        m0, control, label = _bright_first(control, label)
    tr_ms = attributes_of(series).tr_ms
    if not m0 and m0_series is not None:
        m0, tr_ms = [v.volume for v in volumes(m0_series)], attributes_of(m0_series).tr_ms
    if not m0:
        raise NoM0(f"{len(control)} pairs, none without background suppression, and no M0 beside them")
    m0 = [on_grid(v, control[0]) for v in m0]
    scale = control[0].with_array(mean([v.array for v in m0]))
    pairs = zip(control, label, strict=True)
    difference = mean([c.array - one.array for c, one in pairs])
    if caveats and float(difference[_head(scale.array)].mean()) < 0:
        difference = -difference
    head = _head(scale.array)
    suppressed = float(control[0].array[head].mean()) < SUPPRESSED_SHARE * float(scale.array[head].mean())
    return Labelling(difference, scale, tr_ms, len(control), caveats, suppressed)


def mean(arrays: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Average arrays of one shape, voxel by voxel."""
    return np.asarray(np.mean(arrays, axis=0, dtype=np.float64), np.float32)


def alternate(found: Sequence[Volume]) -> tuple[list[Volume], list[Volume], list[Volume]]:
    """Split volumes into control, label, control, …; of an odd number the first is M0. The sign is decided later."""
    start = len(found) % 2
    return list(found[start::2]), list(found[start + 1 :: 2]), list(found[:start])


def _bright_first(
    control: Sequence[Volume], label: Sequence[Volume]
) -> tuple[list[Volume], list[Volume], list[Volume]]:
    """Take out pairs without background suppression: their control image is M0, and they are not subtracted."""
    brightness = np.array([float(c.array.mean()) for c in control])
    bright = brightness > BRIGHT_FACTOR * brightness.min()
    rest = [i for i, b in enumerate(bright) if not b]
    return [c for c, b in zip(control, bright, strict=True) if b], [control[i] for i in rest], [label[i] for i in rest]


def on_grid(m0: Volume, grid: Volume) -> Volume:
    """Put M0 on the grid of the labelling, whose axes may be stored in another order. Raises NoM0.

    M0 that was acquired at another place with the same voxels is interpolated; with other voxels its signal has another
    scale, which no header tells.
    """
    turned = m0.to_patient_orientation(grid.get_closest_patient_orientation())
    if turned.shape == grid.shape and np.allclose(turned.affine, grid.affine, atol=SAME_GRID_MM):
        return grid.with_array(turned.array)
    sizes = [np.linalg.norm(v.affine[:3, :3], axis=0) for v in (turned, grid)]
    if not np.allclose(*sizes, rtol=0.01):
        text = ["x".join(f"{mm:.3g}" for mm in size) for size in sizes]
        raise NoM0(f"M0 has voxels of {text[0]} mm, control and label of {text[1]} mm")
    return grid.with_array(resample(turned, grid.affine, grid.shape).numpy())


def _head(m0: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.asarray(m0 > MIN_M0_SHARE * np.percentile(m0, 99))


def quantify(labelling: Labelling, timing: Timing, options: PerfusionOptions) -> npt.NDArray[np.float32]:
    """Compute CBF in ml/100 g/min on the grid of M0; nan outside the head.

    Continuous labelling: 6000 λ ΔM exp(PLD / T1b) / (2 α T1b M0 (1 - exp(-LD / T1b))).
    Pulsed labelling: 6000 λ ΔM exp(TI / T1b) / (2 α TI1 M0). Times in s.
    """
    blood_s = options.blood_t1_ms / 1000
    delay_s = timing.delay_ms / 1000
    m0 = np.asarray(labelling.m0.array, np.float64)
    if labelling.m0_tr_ms is not None and labelling.m0_tr_ms < LONG_TR_MS:
        m0 = m0 / (1 - np.exp(-labelling.m0_tr_ms / options.tissue_t1_ms))
    if timing.is_pulsed:
        bolus_s = timing.duration_ms / 1000
        efficiency = options.pasl_efficiency
    else:
        bolus_s = blood_s * (1 - np.exp(-timing.duration_ms / options.blood_t1_ms))
        efficiency = options.pcasl_efficiency
    efficiency *= options.suppression_efficiency if labelling.suppressed else 1.0
    head = _head(labelling.m0.array)
    scale = 6000 * options.partition_coefficient * np.exp(delay_s / blood_s) / (2 * efficiency * bolus_s)
    values = scale * labelling.difference / np.where(head, m0, 1.0)
    return np.where(head, values, np.nan).astype(np.float32)
