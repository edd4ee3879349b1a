"""NIfTI files of diffusion and labelling, with the files beside them → FA and CBF, by the same code as from DICOM.

Diffusion: .bval and .bvec in FSL's convention. Labelling: BIDS 1.10, "Arterial Spin Labeling perfusion data".
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import LncError, NoM0, PathMissing, UnpairedVolumes, UnreadableSeries, UnsupportedLabelling
from lnc_dicom.maps.asl_volumes import Context, Labelled
from lnc_dicom.maps.cbf import computed_map
from lnc_dicom.maps.fa import tensor_map
from lnc_dicom.maps.labelling import Labelling, labelling_of, mean, named_pairs, on_grid
from lnc_dicom.options import DiffusionOptions, PerfusionOptions
from lnc_dicom.quantities import Quantity
from lnc_dicom.research.bids_names import beside, description
from lnc_dicom.study.dcm2niix import Converted, in_lps, read_table
from lnc_dicom.study.nifti import TO_LPS, array_of, lps_of, open_image, stem_of
from lnc_dicom.types import QuantityMap, Series

_CONTEXTS = {"control": Context.CONTROL, "label": Context.LABEL, "m0scan": Context.M0, "deltam": Context.DIFFERENCE}
_KINDS = ("PCASL", "PASL", "CASL")
_MS = 1000.0


def fa_of_file(path: Path, options: DiffusionOptions) -> QuantityMap:
    """Give FA, 0 to 1, of a 4D NIfTI with .bval and .bvec beside it.

    Raises UnreadableSeries, WrongGradients, OneBValue, TooFewDirections.
    """
    found = _read(path)
    tables = [_beside(path, extension) for extension in (".bval", ".bvec")]
    b_values, vectors = (None if table is None else read_table(table) for table in tables)
    if b_values is None or vectors is None:
        raise UnreadableSeries(f"no .bval and .bvec with numbers beside {path.name}")
    if vectors.shape[0] != 3 and vectors.shape[1] == 3:  # noqa: PLR2004 - some programs write a row per volume
        vectors = vectors.T
    if vectors.shape != (3, b_values.size):
        raise UnreadableSeries(f"{b_values.size} b-values and {vectors.shape[1]} directions beside {path.name}")
    directions = in_lps(vectors, TO_LPS @ found.lps_mm)
    return tensor_map(replace(found, b_values=b_values.ravel(), directions=directions), options)


def cbf_of_file(path: Path, options: PerfusionOptions) -> QuantityMap:
    """Give CBF in ml/100 g/min of a 4D NIfTI `*_asl` with its sidecar, aslcontext.tsv and M0.

    Raises UnreadableSeries, UnpairedVolumes, UnsupportedLabelling, NoM0.
    """
    found = _read(path)
    run = _Run(replace(found, description=_described(path)), _contexts(path, found.array.shape[3]))
    if "cbf" in run.shows:
        volume = run.volume(mean([run.found.array[..., i] for i, what in enumerate(run.shows) if what == "cbf"]))
        return QuantityMap(Quantity.CBF, volume, volume, "CBF in the file", (), registers_itself=True)
    return computed_map(Series("", ()), run.found, _labelling(run, path), options)


@dataclass(frozen=True, slots=True)
class _Run:
    """A file of labelling: its volumes with the description, and what each of them shows, in words of BIDS."""

    found: Converted
    shows: Sequence[str] = field(default=())

    @property
    def description(self) -> Mapping[str, Any]:
        return self.found.description

    def volume(self, array: npt.NDArray[np.float32]) -> Volume:
        return self.found.volume(array)

    def number(self, name: str, i: int) -> float | None:
        """Give a number of the description that holds for volume i: one for all, or one for each."""
        value = self.description.get(name)
        value = value[i] if isinstance(value, list) and i < len(value) else value
        return float(value) if isinstance(value, (int, float)) and value > 0 else None

    def labelled(self) -> list[Labelled]:
        """Give the volumes that show control, label, M0 or a difference, each with its delay."""
        return [
            Labelled(
                _CONTEXTS[what],
                (float(i),),
                self.volume(self.found.array[..., i]),
                _in_ms(self.number("PostLabelingDelay", i)),
            )
            for i, what in enumerate(self.shows)
            if what in _CONTEXTS
        ]


def _in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else _MS * seconds


def _labelling(run: _Run, path: Path) -> Labelling:
    """Sort the volumes, and find M0. What the description says of suppression and efficiency counts."""
    read = run.labelled()
    differences = [v for v in read if v.context is Context.DIFFERENCE]
    m0, tr_ms = _m0(run, read, path)
    if differences:
        scale = differences[0].volume.with_array(mean([on_grid(v, differences[0].volume).array for v in m0]))
        delays = {v.delay_ms for v in differences if v.delay_ms is not None}
        by_delay = {t: mean([v.volume.array for v in differences if v.delay_ms == t]) for t in delays}
        found = Labelling(mean([v.volume.array for v in differences]), scale, tr_ms, 0, by_delay=by_delay)
    else:
        found = labelling_of(named_pairs([v for v in read if v.context is not Context.M0]), m0, tr_ms, named=True)
    suppressed, efficiency = run.description.get("BackgroundSuppression"), run.number("LabelingEfficiency", 0)
    found = replace(found, suppressed=suppressed) if isinstance(suppressed, bool) else found
    return replace(found, efficiency=efficiency)


def _m0(run: _Run, read: Sequence[Labelled], path: Path) -> tuple[list[Volume], float | None]:
    """Give M0 and its TR in ms: in the file, in a file of its own, a number, or control without suppression."""
    apart = beside(path, "m0scan", ".nii.gz") or beside(path, "m0scan", ".nii")
    inside = [i for i, what in enumerate(run.shows) if what == "m0scan"]
    if inside:
        tr_ms = _in_ms(run.number("RepetitionTimePreparation", inside[0]))
        return [v.volume for v in read if v.context is Context.M0], tr_ms
    if apart is not None:
        one = _read(apart)
        tr_ms = _in_ms(_Run(replace(one, description=description(apart))).number("RepetitionTimePreparation", 0))
        return [one.volume(one.array.mean(axis=3))], tr_ms
    if run.number("M0Estimate", 0):
        return [read[0].volume.with_array(np.full_like(read[0].volume.array, run.number("M0Estimate", 0)))], None
    control = [v.volume for v in read if v.context is Context.CONTROL]
    if control and run.description.get("BackgroundSuppression") is False:
        return control, _in_ms(run.number("RepetitionTimePreparation", 0))
    raise NoM0(f"no m0scan in {path.name}, none beside it, and control images were suppressed or may have been")


def _contexts(path: Path, volumes: int) -> list[str]:
    """Read what every volume shows from aslcontext.tsv. Raises UnpairedVolumes."""
    table = beside(path, "aslcontext", ".tsv")
    if table is None:
        raise UnpairedVolumes(f"no aslcontext.tsv beside {path.name}, which tells control from label")
    with table.open(newline="", encoding="utf-8-sig") as file:
        shows = [(row.get("volume_type") or "").strip().lower() for row in csv.DictReader(file, delimiter="\t")]
    if len(shows) != volumes:
        raise UnpairedVolumes(f"{len(shows)} rows in {table.name} for {volumes} volumes")
    return shows


def _described(path: Path) -> dict[str, Any]:
    """Read the sidecar and refuse what it names that is not measured. Raises UnsupportedLabelling."""
    found = description(path)
    if str(found.get("ArterialSpinLabelingType")).upper() not in _KINDS:
        raise UnsupportedLabelling(f"ArterialSpinLabelingType in the sidecar of {path.name} is none of {_KINDS}")
    if found.get("LookLocker"):
        raise UnsupportedLabelling("Look-Locker labelling: its volumes are not pairs of control and label at one time")
    bolus = found.get("BolusCutOffDelayTime")
    return {**found, "BolusCutOffDelayTime": min(bolus) if isinstance(bolus, list) and bolus else bolus}


def _read(path: Path) -> Converted:
    """Read a 4D image. Raises UnreadableSeries."""
    try:
        image = open_image(path)
        array, lps_mm = array_of(image), lps_of(image)
    except PathMissing:
        raise
    except LncError as error:
        raise UnreadableSeries(error.what) from error
    array = array[..., None] if array.ndim == 3 else array  # noqa: PLR2004
    if array.ndim != 4 or not np.isfinite(array).all():  # noqa: PLR2004
        raise UnreadableSeries(
            f"{path.name} has {array.ndim} axes or values that are not numbers; four axes are needed"
        )
    return Converted(array, lps_mm)


def _beside(path: Path, extension: str) -> Path | None:
    """Find a table beside an image: of the same name, or by the inheritance principle of BIDS."""
    own = path.with_name(stem_of(path) + extension)
    return own if own.is_file() else beside(path, "dwi", extension)
