"""Series → arrays with gradients and timing. The only place where dcm2niix is called.

Vendors write b-values, directions and timing of labelling to different attributes and frames; dcm2niix reads them all.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import UnreadableSeries
from lnc_dicom.types import Series

MAX_SECONDS = 120
"""dcm2niix takes half a second for 1,400 images; after this time it has hung."""
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI axes point right and anterior, those of DICOM left and posterior."""


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A series as converted by dcm2niix.

    array
        float32, axes (i, j, k, volume) of the NIfTI file, scaling applied.
    lps_mm
        (4, 4), maps an index (i, j, k, 1) to LPS millimetres.
    b_values
        s/mm², one per volume; None where the series has no diffusion.
    directions
        (volumes, 3), gradient directions as unit vectors in LPS; zeros for b = 0; None where there are none.
    description
        dcm2niix's JSON description in BIDS terms: timing of labelling and slices, in seconds.
    """

    array: npt.NDArray[np.float32] = field(repr=False)
    lps_mm: npt.NDArray[np.float64] = field(repr=False)
    b_values: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    directions: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    description: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def volume(self, array: npt.NDArray[np.float32]) -> Volume:
        """Put an array (i, j, k) on the grid of the series."""
        return Volume(np.ascontiguousarray(array, np.float32), self.lps_mm, "PATIENT")


def convert(series: Series) -> Converted:
    """Convert a series to one array of three or four axes. Raises UnreadableSeries.

    dcm2niix writes b-vectors in FSL's convention: along the axes of the array, the first component negated where the
    array is right-handed in RAS. They are converted to LPS.
    """
    import nibabel  # noqa: PLC0415 - a study without diffusion does not wait for it

    with tempfile.TemporaryDirectory() as folder:
        made = _run(series, Path(folder), ("-b", "y", "-z", "n"))
        images = {path: nibabel.Nifti1Image.from_filename(str(path)) for path in sorted(made.glob("*.nii"))}
        if not images:
            raise UnreadableSeries("dcm2niix made no image of the series")
        stem, image = max(images.items(), key=lambda one: (one[1].ndim, one[1].shape[-1]))
        ras_mm = np.asarray(image.affine, np.float64)
        array = np.asarray(image.dataobj, np.float32)
        b_values, vectors = _table(stem.with_suffix(".bval")), _table(stem.with_suffix(".bvec"))
        text = stem.with_suffix(".json")
        description = json.loads(text.read_text(encoding="utf-8", errors="replace")) if text.is_file() else {}
    directions = None if vectors is None else _in_lps(vectors, ras_mm)
    array = array[..., None] if array.ndim == 3 else array  # noqa: PLR2004
    if array.ndim != 4 or not np.isfinite(array).all():  # noqa: PLR2004
        raise UnreadableSeries("the images of the series do not form volumes of one grid")
    return Converted(array, _TO_LPS @ ras_mm, None if b_values is None else b_values.ravel(), directions, description)


def _run(series: Series, folder: Path, options: Sequence[str]) -> Path:
    """Link the files of the series into a folder of their own, and convert that folder."""
    import dcm2niix  # noqa: PLC0415

    source, made = folder / "in", folder / "out"
    source.mkdir()
    made.mkdir()
    for i, instance in enumerate(series.instances):
        (source / f"{i:06d}.dcm").symlink_to(instance.path.resolve())
    command = [dcm2niix.bin, "-ba", "y", "-f", "series", *options, "-o", str(made), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=MAX_SECONDS, check=False)  # noqa: S603 - no shell
    except subprocess.TimeoutExpired as error:
        raise UnreadableSeries(f"dcm2niix did not end within {MAX_SECONDS} s") from error
    if done.returncode != 0 and not any(made.iterdir()):
        raise UnreadableSeries(f"dcm2niix refused the series (exit {done.returncode})")
    return made


def _table(path: Path) -> npt.NDArray[np.float64] | None:
    """Read a table of numbers; None where there is none or numbers are missing."""
    if not path.is_file():
        return None
    try:
        return np.atleast_2d(np.loadtxt(path, dtype=np.float64))
    except ValueError:
        return None


def _in_lps(vectors: npt.NDArray[np.float64], ras_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert FSL's b-vectors (3, volumes) into LPS unit vectors (volumes, 3)."""
    axes = ras_mm[:3, :3] / np.linalg.norm(ras_mm[:3, :3], axis=0)
    along = vectors.copy()
    if np.linalg.det(axes) > 0:
        along[0] = -along[0]
    return np.asarray((_TO_LPS[:3, :3] @ axes @ along).T)
