"""Volumes of arterial spin labelling → control minus label, by delay, and M0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import NoM0, UnpairedVolumes, UnsupportedLabelling
from lnc_dicom.geometry.resampling import resample
from lnc_dicom.maps.asl_timing import ASSUMED
from lnc_dicom.maps.asl_volumes import Context, Labelled, volumes
from lnc_dicom.predictions import freeze
from lnc_dicom.study.asl_series import unsupported_kind
from lnc_dicom.study.attributes import attributes_of
from lnc_dicom.study.dcm2niix import Converted
from lnc_dicom.types import Caveat, Series

ORDER_ASSUMED = "LNC-406"
"""Caveat: the header does not say which volumes are control and which label; they are assumed to alternate."""

SAME_GRID_MM = 0.1
"""Grids whose affines differ by less are one."""
BRIGHT_FACTOR = 3.0
"""A pair this much brighter than the others was acquired without background suppression: it serves as M0."""
BRIGHTER_SHARE = 0.1
"""A first or last volume that is brighter than the others by this share of them is M0; of an odd number, by half."""
MAX_LABEL_SHARE = 0.1
"""Control and label differ by about 1 % of M0; volumes that differ by more than this share show something else."""
SUPPRESSED_SHARE = 0.5
"""Control images darker than this share of M0 were acquired with background suppression, which attenuates the label."""
MIN_M0_SHARE = 0.15
"""Voxels where M0 is below this share of its 99th percentile lie outside the head; they get no CBF."""
GE_GAIN = 32.0
"""GE's product sequence takes the perfusion-weighted image with so much more gain than the reference image."""
GE_EFFICIENCY = 0.6
"""What GE's product sequence leaves of the label: 0.8 of labelling times 0.75 of background suppression."""
GE_SATURATION_MS = 2000.0
"""Time from saturation to readout of GE's reference image."""


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
        Number of pairs of control and label; 0 where the scanner subtracted them.
    suppressed
        Whether the pairs were acquired with background suppression.
    by_delay
        Mean of control minus label by delay in ms; empty where the volumes do not name their delays.
    slices_s
        When each slice of a volume was acquired; empty where the images do not say.
    efficiency
        Share of the label that remains, where the scanner's sequence fixes it; None: from the settings.
    """

    difference: npt.NDArray[np.float32] = field(repr=False)
    m0: Volume = field(repr=False)
    m0_tr_ms: float | None
    pairs: int
    caveats: tuple[Caveat, ...] = ()
    suppressed: bool = False
    by_delay: Mapping[float, npt.NDArray[np.float32]] = field(default_factory=dict, repr=False)
    slices_s: tuple[float, ...] = ()
    efficiency: float | None = None

    def __post_init__(self) -> None:
        """Make the differences read-only."""
        freeze(self, "by_delay")

    @property
    def head(self) -> npt.NDArray[np.bool_]:
        """Voxels inside the head."""
        return head_of(self.m0.array)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Volumes of one series, sorted; the n-th control belongs to the n-th label."""

    control: tuple[Labelled, ...]
    label: tuple[Labelled, ...]
    m0: tuple[Labelled, ...]
    caveats: tuple[Caveat, ...] = ()


def read_labelling(series: Series, converted: Converted | None, m0_series: Series | None) -> Labelling:
    """Sort the volumes of a series into control, label and M0.

    converted
        The same series from dcm2niix where it is at hand.

    Raises UnreadableSeries, UnpairedVolumes, UnsupportedLabelling, NoM0.
    """
    kind = unsupported_kind(series)
    if kind:
        raise UnsupportedLabelling(f"{kind} labelling: its volumes are not pairs of control and label at one time")
    read = volumes(series, converted)
    subtracted = [v for v in read if v.context is Context.DIFFERENCE]
    if subtracted:
        return _subtracted(subtracted, [v for v in read if v.context is Context.M0])
    named = any(v.context in {Context.CONTROL, Context.LABEL} for v in read)
    if not named and str(series.header.get("Manufacturer") or "").upper().startswith("GE"):
        text = "GE's private attributes are missing, which say what is perfusion-weighted, what is M0 and their scale"
        raise UnsupportedLabelling(text)
    pairs = named_pairs(read) if named else alternate(read)
    tr_ms = attributes_of(series).tr_ms
    m0 = [v.volume for v in pairs.m0]
    if not m0 and m0_series is not None:
        m0, tr_ms = [v.volume for v in volumes(m0_series)], attributes_of(m0_series).tr_ms
    if not m0:
        raise NoM0(f"{len(pairs.control)} pairs, none without background suppression, and no M0 beside them")
    return labelling_of(pairs, m0, tr_ms, named=named)


def labelling_of(pairs: Pairs, m0: Sequence[Volume], tr_ms: float | None, *, named: bool) -> Labelling:
    """Subtract label from control and scale by M0, which is put on their grid. Raises UnpairedVolumes, NoM0."""
    grid = pairs.control[0].volume
    scale = grid.with_array(mean([on_grid(v, grid).array for v in m0]))
    head = head_of(scale.array)
    differences = [c.volume.array - v.volume.array for c, v in zip(pairs.control, pairs.label, strict=True)]
    total = mean(differences)
    level, level_of_m0 = (float(a[head].mean()) for a in (total, scale.array))
    if not named and abs(level) > MAX_LABEL_SHARE * level_of_m0:
        share = abs(level) / level_of_m0
        raise UnpairedVolumes(f"unnamed volumes differ by {share:.0%} of M0, more than control and label can")
    sign = -1 if not named and level < 0 else 1
    delays = [c.delay_ms for c in pairs.control]
    known = {delay for delay in delays if delay is not None}
    by_delay = {t: sign * mean([d for d, at in zip(differences, delays, strict=True) if at == t]) for t in known}
    control = float(pairs.control[0].volume.array[head].mean())
    suppressed = control < SUPPRESSED_SHARE * level_of_m0
    slices_s = pairs.control[0].times_s
    return Labelling(sign * total, scale, tr_ms, len(differences), pairs.caveats, suppressed, by_delay, slices_s)


def named_pairs(read: Sequence[Labelled]) -> Pairs:
    """Sort volumes whose headers say what they show. Raises UnpairedVolumes."""
    control, label, m0 = (_of(read, context) for context in (Context.CONTROL, Context.LABEL, Context.M0))
    if not control or [v.delay_ms for v in control] != [v.delay_ms for v in label]:
        raise UnpairedVolumes(f"{len(control)} control and {len(label)} label volumes")
    return Pairs(control, label, m0) if m0 else bright_first(Pairs(control, label, ()))


def _of(read: Sequence[Labelled], context: Context) -> tuple[Labelled, ...]:
    """Give the volumes of one kind, by delay and then by time."""
    return tuple(sorted((v for v in read if v.context is context), key=lambda v: (v.delay_ms or 0.0, v.order)))


def alternate(read: Sequence[Labelled]) -> Pairs:
    """Split volumes that no header names into control, label, control, …; the sign is decided later.

    A first or last volume that is brighter is M0; of an odd number without one the first is, as scanners acquire it.
    Raises UnpairedVolumes, UnsupportedLabelling.
    """
    rest, m0 = list(read), [v for v in read if v.context is Context.M0]
    rest = [v for v in rest if v.context is not Context.M0]
    while len(rest) > 2 and (end := _bright_end(rest)) is not None:  # noqa: PLR2004
        m0.append(rest.pop(end))
    if not m0 and len(rest) % 2:
        m0.append(rest.pop(0))
    text = "control and label are not named in the header; assumed to alternate"
    if len(rest) % 2:
        rest.pop()
        text += "; the last volume has no partner and is left out"
    if not rest:
        raise UnpairedVolumes(f"{len(read)} volumes, of which none form a pair of control and label")
    caveats = (Caveat(ORDER_ASSUMED, text, is_our_text=True),)
    control, label = _alternate_by_delay(rest)
    if m0:
        return Pairs(control, label, tuple(m0), caveats)
    return replace(bright_first(Pairs(control, label, ())), caveats=caveats)


def _bright_end(found: Sequence[Labelled]) -> int | None:
    """Give the index, 0 or -1, of a volume at the end that is brighter than the others; None without one."""
    levels = np.array([float(v.volume.array.mean()) for v in found])
    middle = float(np.median(levels))
    scatter = 4 * float(np.median(np.abs(levels - middle)))
    share = BRIGHTER_SHARE / 2 if len(found) % 2 else BRIGHTER_SHARE
    end = 0 if levels[0] >= levels[-1] else -1
    return end if levels[end] - middle > max(share * middle, scatter) else None


def _alternate_by_delay(found: Sequence[Labelled]) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
    groups: dict[float | None, list[Labelled]] = {}
    for v in found:
        groups.setdefault(v.delay_ms, []).append(v)
    odd = [delay for delay, group in groups.items() if len(group) % 2]
    if odd:
        raise UnpairedVolumes(f"an odd number of volumes at {len(odd)} of {len(groups)} delays")
    control = tuple(v for group in groups.values() for v in group[::2])
    return control, tuple(v for group in groups.values() for v in group[1::2])


def bright_first(pairs: Pairs) -> Pairs:
    """Take out pairs without background suppression: their control image is M0, and they are not subtracted."""
    brightness = np.array([float(c.volume.array.mean()) for c in pairs.control])
    bright = brightness > BRIGHT_FACTOR * brightness.min()
    m0 = tuple(c for c, b in zip(pairs.control, bright, strict=True) if b)
    control, label = (
        tuple(v for v, b in zip(kind, bright, strict=True) if not b) for kind in (pairs.control, pairs.label)
    )
    return Pairs(control, label, m0, pairs.caveats)


def mean(arrays: Iterable[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Average arrays of one shape, voxel by voxel."""
    return np.asarray(np.mean(list(arrays), axis=0, dtype=np.float64), np.float32)


def on_grid(m0: Volume, grid: Volume) -> Volume:
    """Put M0 on the grid of the labelling, whose axes may be stored in another order. Raises NoM0.

    M0 that was acquired at another place with the same voxels is interpolated; with other voxels its signal has another
    scale, which no header tells.
    """
    turned = m0.to_patient_orientation(grid.get_closest_patient_orientation())
    if turned.shape == grid.shape and np.allclose(turned.affine, grid.affine, atol=SAME_GRID_MM):
        return grid.with_array(turned.array)
    size_mm, grid_mm = (np.linalg.norm(v.affine[:3, :3], axis=0) for v in (turned, grid))
    if not np.allclose(size_mm, grid_mm, rtol=0.01):
        text, grid_text = ("x".join(f"{mm:.3g}" for mm in size) for size in (size_mm, grid_mm))
        raise NoM0(f"M0 has voxels of {text} mm, control and label of {grid_text} mm")
    rows, columns, slices = grid.shape
    return grid.with_array(resample(turned, grid.affine, (rows, columns, slices)).numpy())


def head_of(m0: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Give the voxels of M0 that lie inside the head."""
    return np.asarray(m0 > MIN_M0_SHARE * np.percentile(m0, 99))


def _subtracted(difference: Sequence[Labelled], m0: Sequence[Labelled]) -> Labelling:
    """Scale GE's perfusion-weighted image, the sum over the excitations, to its reference image."""
    if not m0:
        raise NoM0("a perfusion-weighted image without reference image")
    excitations = difference[0].excitations
    text = f"not in the header, taken from the product sequence: gain {GE_GAIN:g}, saturation {GE_SATURATION_MS:.0f} ms"
    text += f", labelling and background suppression leave {GE_EFFICIENCY:g}"
    if excitations is None:
        raise UnsupportedLabelling("a perfusion-weighted image without number of excitations: its signal has no scale")
    array = mean([v.volume.array for v in difference]) / (GE_GAIN * excitations)
    scale = m0[0].volume
    return Labelling(
        on_grid(difference[0].volume.with_array(array), scale).array,
        scale,
        GE_SATURATION_MS,
        0,
        (Caveat(ASSUMED, text, is_our_text=True),),
        by_delay={v.delay_ms: array for v in difference[:1] if v.delay_ms is not None},
        efficiency=GE_EFFICIENCY,
    )
