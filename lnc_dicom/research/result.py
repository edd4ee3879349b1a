"""What was found in one head, for a researcher: labels, volumes, gates, as NIfTI, table and picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from highdicom import Volume

from lnc_dicom.measure.volumetry import interval_share
from lnc_dicom.predictions import Model
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.report import Report
from lnc_dicom.study.nifti import labels_image
from lnc_dicom.types import AlignedMap, Caveat, Check, Measurement

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from nibabel.spatialimages import SpatialImage
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result:
    """Labels and measurements of one head; what `segment` and `measure` return.

    volume
        The T1 that was measured: float32 `highdicom.Volume`, axes as in the input, affine from an index to LPS mm.
    labels
        uint8 on the grid of `volume`: 0 is background, others are `Structure.label`; structures that failed are absent.
    measurements
        One `Measurement` per structure, in the order of `STRUCTURES`: mL with 90 % intervals, and gates in `checks`.
    checks
        Gates of the head as a whole; all passed, or there would be an error and no result.
    caveats
        What a reader must know, each with a code (docs/reference/errors.md).
    model
        Name, version and digest of the networks.
    maps
        Maps of FA and CBF that were registered to the T1 and measured.
    image
        The nibabel image that was read; None where the input was DICOM or a `Volume`.
    report
        Everything that was found in a DICOM study; None for other inputs and for `segment`.
    """

    volume: Volume
    labels: Volume
    measurements: tuple[Measurement, ...]
    checks: tuple[Check, ...]
    caveats: tuple[Caveat, ...]
    model: Model
    maps: tuple[AlignedMap, ...] = ()
    image: SpatialImage | None = None
    report: Report | None = None

    @property
    def doubt(self) -> float:
        """How doubtful the volumes are, 0 to 1: mean half width of the 90 % intervals as share of the volume.

        A structure that failed counts as 1. Heads of a cohort are sorted by it for review.
        """
        return float(np.mean([interval_share(m) if m.passed else 1.0 for m in self.measurements]))

    def to_nifti(self, path: str | PathLike[str] | None = None) -> SpatialImage:
        """Give the labels as `nibabel.Nifti1Image`, uint8, on exactly the grid of the input; with a path, write it too.

        Shape, affine, qform and sform are those of a NIfTI input; for DICOM the affine is that of `volume`, in RAS.
        """
        image = labels_image(self.labels, self.image)
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            image.to_filename(path)
        return image

    def to_dataframe(self) -> DataFrame:
        """Give a `pandas.DataFrame` with a row per structure and side.

        Columns: structure, side, label, voxels, volume_ml, volume_low_ml and volume_high_ml (90 % interval), passed,
        reason (the gate that failed, with its number); of each measured quantity mean, sd, median and n, for instance
        fa_mean (no unit) and cbf_mean (ml/100 g/min). Numbers of a structure that failed are missing.
        """
        import pandas as pd  # noqa: PLC0415 - who wants no table does not wait for it

        return pd.DataFrame(rows(self.measurements))

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Draw outlines of the structures on axial and coronal slices of the T1; with a path, save the picture too.

        Slices are in radiological order: the patient's left is on the right. Returns a `matplotlib.figure.Figure`.
        """
        from lnc_dicom.research.picture import draw  # noqa: PLC0415 - matplotlib takes a third of a second

        figure = draw(self.volume, self.labels, self.measurements)
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        return figure

    def __repr__(self) -> str:
        """One line: how many structures were measured, how doubtful, and what else."""
        failed = [m.structure.title for m in self.measurements if not m.passed]
        measured = f"{len(self.measurements) - len(failed)} structures"
        parts = [measured, f"doubt {self.doubt:.2f}", *(found.map.quantity.value for found in self.maps)]
        return f"Result({', '.join([*parts, *(f'failed: {name}' for name in failed)])})"

    def _repr_html_(self) -> str:
        """Show the table in a notebook."""
        return str(self.to_dataframe().to_html(index=False, float_format="%.2f"))


def rows(measurements: tuple[Measurement, ...]) -> list[dict[str, object]]:
    """Give what `Result.to_dataframe` holds, a dictionary per structure; missing numbers are nan."""
    quantities = [q for q in Quantity if any(q in m.statistics for m in measurements)]
    return [_row(m, quantities) for m in measurements]


def _row(m: Measurement, quantities: list[Quantity]) -> dict[str, object]:
    low, high = m.interval_ml or (math.nan, math.nan)
    row: dict[str, object] = {
        "structure": m.structure.name,
        "side": m.structure.side.value,
        "label": m.structure.label,
        "voxels": m.voxels if m.passed else math.nan,
        "volume_ml": round(m.volume_ml, 4) if m.passed else math.nan,
        "volume_low_ml": round(low, 4) if m.passed else math.nan,
        "volume_high_ml": round(high, 4) if m.passed else math.nan,
        "passed": m.passed,
        "reason": f"{m.failure.code} {m.failure}" if m.failure else "",
    }
    for q in quantities:
        found, digits = m.statistics.get(q), QUANTITIES[q].coded_digits
        numbers = ("mean", "sd", "median")
        row |= {f"{q.value}_{n}": round(getattr(found, n), digits) if found else math.nan for n in numbers}
        row[f"{q.value}_n"] = found.n if found else 0
    return row
