"""Series → arrays with gradients and timing. The only place where dcm2niix is called.

Vendors write b-values, directions and timing of labelling to different attributes and frames; dcm2niix reads them all.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom
from highdicom import Volume

from lnc_dicom.errors import UnreadableSeries, WrongGradients
from lnc_dicom.study.header_text import values_of
from lnc_dicom.study.nifti import TO_LPS
from lnc_dicom.study.values import number
from lnc_dicom.types import Instance, Series

if TYPE_CHECKING:
    from nibabel import Nifti1Image

MAX_SECONDS = 120
"""dcm2niix takes half a second for 1,400 images; after this time it has hung."""
_WITH_DERIVED = "_ADC"
"""End of the name of an image that dcm2niix writes beside the one that it cleaned of trace images."""
_SAME_GRADIENT = 1.0
"""Gradients, b-value times direction, closer than this in s/mm² are one."""
_SAME_PLACE_MM = 0.01


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


@dataclass(frozen=True, slots=True, eq=False)
class _Output:
    """One image that dcm2niix wrote: four axes; b-values and directions (LPS) as in `Converted`."""

    image: Nifti1Image
    b_values: npt.NDArray[np.float64] | None
    directions: npt.NDArray[np.float64] | None
    description: Mapping[str, Any]

    @property
    def array(self) -> npt.NDArray[np.float32]:
        array = np.asarray(self.image.dataobj, np.float32)
        return array[..., None] if array.ndim == 3 else array  # noqa: PLR2004

    @property
    def ras_mm(self) -> npt.NDArray[np.float64]:
        return np.asarray(self.image.affine, np.float64)

    @property
    def directed(self) -> int:
        """Number of volumes with a gradient direction."""
        if self.b_values is None or self.directions is None:
            return 0
        return int(((self.b_values > 0) & self.directions.any(axis=1)).sum())

    @property
    def volumes(self) -> int:
        return int(self.image.shape[3]) if self.image.ndim > 3 else 1  # noqa: PLR2004


def convert(series: Series, *, only_diffusion: bool = False) -> Converted:
    """Convert a series to one array of three or four axes. Raises UnreadableSeries.

    only_diffusion
        Read no voxels of a series without b-values, which may be a long functional one: raise WrongGradients instead.

    dcm2niix divides a series by image type, echo and scaling. Of diffusion, the image with most gradient directions is
    given, with what else of the series has b-values and lies on its grid; else the image with most volumes.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = _run(series, Path(folder), ("-b", "y", "-z", "n"))
        outputs = [_output(path) for path in sorted(made.glob("*.nii")) if not path.stem.endswith(_WITH_DERIVED)]
        if not outputs:
            raise UnreadableSeries("dcm2niix made no image of the series")
        if only_diffusion and all(one.b_values is None for one in outputs):
            raise WrongGradients("no b-values in the header")
        main = max(outputs, key=lambda one: (one.directed, one.image.ndim, one.volumes))
        found = _joined(main, outputs) if main.directed else _converted(main)
    if found.array.ndim != 4 or not np.isfinite(found.array).all():  # noqa: PLR2004
        raise UnreadableSeries("the images of the series do not form volumes of one grid")
    return found


def _output(path: Path) -> _Output:
    """Read an image with its tables. Raises UnreadableSeries: numbers of a header that are none end in the files.

    dcm2niix writes b-vectors in FSL's convention: along the axes of the array, the first component negated where the
    array is right-handed in RAS. They are converted to LPS.
    """
    import nibabel  # noqa: PLC0415 - a study without diffusion does not wait for it
    from nibabel.filebasedimages import ImageFileError  # noqa: PLC0415
    from nibabel.spatialimages import HeaderDataError  # noqa: PLC0415
    from nibabel.wrapstruct import WrapStructError  # noqa: PLC0415

    text = path.with_suffix(".json")
    try:
        image = nibabel.Nifti1Image.from_filename(str(path))
        b_values, vectors = read_table(path.with_suffix(".bval")), read_table(path.with_suffix(".bvec"))
        description = json.loads(text.read_text(encoding="utf-8", errors="replace")) if text.is_file() else {}
    except (ImageFileError, HeaderDataError, WrapStructError, ValueError) as error:
        raise UnreadableSeries(f"{type(error).__name__} while the output of dcm2niix was read") from error
    ras_mm = np.asarray(image.affine, np.float64)
    directions = None if vectors is None or not np.linalg.det(ras_mm) else in_lps(vectors, ras_mm)
    return _Output(image, None if b_values is None else b_values.ravel(), directions, description)


def _converted(one: _Output) -> Converted:
    return Converted(one.array, TO_LPS @ one.ras_mm, one.b_values, one.directions, one.description)


class _Part(NamedTuple):
    """Volumes of diffusion: array (i, j, k, volume), b-values, directions (volumes, 3)."""

    array: npt.NDArray[np.float32]
    b_values: npt.NDArray[np.float64]
    directions: npt.NDArray[np.float64]

    def repeats(self, other: _Part) -> bool:
        """Whether all gradients are already in the other: the same images once more, processed in another way."""
        weighted = self.b_values > 0
        ours = self.b_values[weighted, None] * self.directions[weighted]
        theirs = other.b_values[:, None] * other.directions
        return bool(weighted.any() and all((np.abs(theirs - one).max(axis=1) < _SAME_GRADIENT).any() for one in ours))


def _joined(main: _Output, outputs: Sequence[_Output]) -> Converted:
    """Join an image of diffusion and the other images of the same acquisition on the same grid.

    An image without b-values is b = 0 if there is none yet and it is brighter: diffusion only darkens.
    """
    first = _part(main)
    others = [one for one in outputs if one is not main and _same_acquisition(one, main)]
    parts = [first]
    for one in (o for o in others if o.b_values is not None and (o.directions is not None or not o.b_values.any())):
        part = _part(one)
        parts += [part] if not any(part.repeats(p) for p in parts) else []
    if all(part.b_values.all() for part in parts):
        parts += [_part(o) for o in others if o.b_values is None and _is_brighter(o.array, first.array)]
    array, b_values, directions = (
        np.concatenate([p.array for p in parts], axis=3),
        np.concatenate([p.b_values for p in parts]),
        np.concatenate([p.directions for p in parts]),
    )
    return replace(_converted(main), array=array, b_values=b_values, directions=directions)


def _part(one: _Output) -> _Part:
    """Give volumes with their gradients; without a table they count as b = 0."""
    nothing = np.zeros(one.volumes)
    b_values = nothing if one.b_values is None else one.b_values
    directions = np.zeros((len(b_values), 3)) if one.directions is None else one.directions
    return _Part(one.array, b_values, directions)


def _is_brighter(array: npt.NDArray[np.float32], weighted: npt.NDArray[np.float32]) -> bool:
    """Whether the head is brighter than in weighted volumes of the same grid."""
    mean = weighted.mean(axis=3)
    head = mean >= mean.mean()
    return bool(array.mean(axis=3)[head].mean() > mean[head].mean())


def _same_acquisition(one: _Output, main: _Output) -> bool:
    """Whether two images share grid, echo time and phase encoding, as far as dcm2niix knows them."""
    same_grid = one.image.shape[:3] == main.image.shape[:3] and np.allclose(
        one.ras_mm, main.ras_mm, atol=_SAME_PLACE_MM
    )
    described = (one.description, main.description)
    return same_grid and all(
        len({d[name] for d in described if name in d}) < 2  # noqa: PLR2004
        for name in ("EchoTime", "PhaseEncodingDirection")
    )


def _run(series: Series, folder: Path, options: Sequence[str]) -> Path:
    """Put the files of the series into a folder of their own, and convert that folder."""
    import dcm2niix  # noqa: PLC0415

    source, made = folder / "in", folder / "out"
    source.mkdir()
    made.mkdir()
    _gather(series, source)
    command = [dcm2niix.bin, "-ba", "y", "-f", "series", *options, "-o", str(made), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=MAX_SECONDS, check=False)  # noqa: S603 - no shell
    except subprocess.TimeoutExpired as error:
        raise UnreadableSeries(f"dcm2niix did not end within {MAX_SECONDS} s") from error
    if done.returncode != 0 and not any(made.iterdir()):
        raise UnreadableSeries(f"dcm2niix refused the series (exit {done.returncode})")
    return made


def _gather(series: Series, folder: Path) -> None:
    """Put the files of a series into a folder; parts of one name with one object each become one series.

    dcm2niix never joins series, and of a single mosaic or enhanced image it writes no b-value.
    """
    parts = series.parts
    named: dict[str, list[Series]] = {}
    for part in parts:
        named.setdefault(f"{part.header.get('SeriesDescription')} {part.header.get('ProtocolName')}", []).append(part)
    count = 0
    for group in named.values():
        is_split = len(group) > 1 and all(len(part.instances) == 1 for part in group)
        for i, instance in enumerate(sorted(_once(i for part in group for i in part.instances), key=_series_number)):
            target = folder / f"{count:06d}.dcm"
            count += 1
            if is_split:
                dataset = pydicom.dcmread(instance.path)
                dataset.SeriesInstanceUID, dataset.SeriesNumber = group[0].uid, 1
                dataset.InstanceNumber = dataset.AcquisitionNumber = i + 1
                dataset.save_as(target)
            else:
                target.symlink_to(instance.path.resolve())


def _once(instances: Iterable[Instance]) -> list[Instance]:
    """Leave out images that were sent again under new UIDs: dcm2niix would mix their slices."""
    known: dict[tuple[str, ...], Instance] = {}
    for instance in instances:
        names = ("SeriesInstanceUID", "InstanceNumber", "ImagePositionPatient", "ImageType")
        key = tuple(str(values_of(instance.header, name)) for name in names)
        known.setdefault((*key, _digest_of_pixels(instance)), instance)
    return list(known.values())


def _digest_of_pixels(instance: Instance) -> str:
    """Digest of the end of a file, where pixels stand."""
    header = instance.header
    length = (
        int(header.get("Rows") or 0) * int(header.get("Columns") or 0) * int(header.get("BitsAllocated") or 16) // 8
    )
    length *= int(header.get("NumberOfFrames") or 1)
    with instance.path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - length))
        return hashlib.sha256(file.read()).hexdigest()


def _series_number(instance: Instance) -> int:
    return int(number(instance.header, "SeriesNumber") or 0)


def read_table(path: Path) -> npt.NDArray[np.float64] | None:
    """Read a table of numbers; None where there is none or numbers are missing."""
    if not path.is_file():
        return None
    try:
        return np.loadtxt(path, dtype=np.float64, ndmin=2)
    except ValueError:
        return None


def in_lps(vectors: npt.NDArray[np.float64], ras_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert FSL's b-vectors (3, volumes) into LPS unit vectors (volumes, 3)."""
    axes = ras_mm[:3, :3] / np.linalg.norm(ras_mm[:3, :3], axis=0)
    along = vectors.copy()
    if np.linalg.det(axes) > 0:
        along[0] = -along[0]
    return np.asarray((TO_LPS[:3, :3] @ axes @ along).T)
