"""NIfTI and MGH images ↔ `highdicom.Volume`. The only place where such files are read and written.

An array keeps its axes (i, j, k); the affine is turned from RAS, which NIfTI and MGH use, to LPS.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from lnc_dicom.errors import PathMissing, UnreadableImage

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

SUFFIXES = (".nii", ".nii.gz", ".mgz", ".mgh")
"""Ends of the names of the files that are read."""
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI axes point right and anterior, those of DICOM left and posterior; it is its own inverse."""
_MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}


def is_image(path: Path) -> bool:
    """Whether the name is that of an image that is read here."""
    return path.name.lower().endswith(SUFFIXES)


def stem_of(path: Path) -> str:
    """Name of an image without its suffixes."""
    name = path.name
    return next((name[: -len(end)] for end in (".nii.gz", *SUFFIXES) if name.lower().endswith(end)), name)


def open_image(path: Path) -> SpatialImage:
    """Open a file; voxels stay on disk. Raises PathMissing, UnreadableImage."""
    import nibabel  # noqa: PLC0415 - DICOM does not wait for it
    from nibabel.filebasedimages import ImageFileError  # noqa: PLC0415
    from nibabel.spatialimages import HeaderDataError  # noqa: PLC0415
    from nibabel.wrapstruct import WrapStructError  # noqa: PLC0415

    if not path.is_file():
        raise PathMissing(f"{path} does not exist")
    kind = nibabel.MGHImage if path.name.lower().endswith((".mgz", ".mgh")) else nibabel.Nifti1Image
    try:
        return kind.from_filename(path)
    except (ImageFileError, HeaderDataError, WrapStructError, ValueError, OSError, EOFError, zlib.error) as error:
        if kind is nibabel.Nifti1Image and _is_nifti2(path):
            return nibabel.Nifti2Image.from_filename(path)
        raise UnreadableImage(f"{type(error).__name__} while {path.name} was read") from error


def _is_nifti2(path: Path) -> bool:
    """Whether a file says that its header has the 540 bytes of NIfTI-2."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            return file.read(4) in ((540).to_bytes(4, "little"), (540).to_bytes(4, "big"))
    except (OSError, EOFError, zlib.error):
        return False


def array_of(image: SpatialImage) -> npt.NDArray[np.float32]:
    """Read the voxels, scaling applied, float32, axes as stored. Raises UnreadableImage."""
    try:
        array = np.asarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UnreadableImage(f"{type(error).__name__} while voxels were read: the file may be truncated") from error
    if array.dtype.kind not in "biuf":
        raise UnreadableImage(f"voxels of type {array.dtype} are not numbers of one channel")
    return np.ascontiguousarray(array, np.float32)


def lps_of(image: SpatialImage) -> npt.NDArray[np.float64]:
    """Give the affine, (4, 4), index to LPS mm. Raises UnreadableImage where the header does not know the orientation.

    The sform counts, else the qform, as in nibabel; lengths are converted to millimetres. An sform with shear, which a
    registration may leave, gives way to a qform without.
    """
    from nibabel.nifti1 import Nifti1Header  # noqa: PLC0415

    header, scale, affine = image.header, 1.0, np.asarray(image.affine, np.float64)
    if isinstance(header, Nifti1Header):
        if not int(header["sform_code"]) and not int(header["qform_code"]):
            raise UnreadableImage("neither sform nor qform is set: left and right cannot be told apart")
        if not _is_orthogonal(affine) and int(header["qform_code"]):
            affine = np.asarray(header.get_qform(), np.float64)
        scale = _MM_PER_UNIT.get(str(header.get_xyzt_units()[0]), 1.0)
    if not np.isfinite(affine).all() or not np.linalg.det(affine[:3, :3]):
        raise UnreadableImage("the affine is not invertible")
    if not _is_orthogonal(affine):
        raise UnreadableImage("the axes of the image are not at right angles (an affine with shear)")
    return TO_LPS @ np.diag([scale, scale, scale, 1.0]) @ affine


def _is_orthogonal(affine: npt.NDArray[np.float64]) -> bool:
    """Whether the axes are at right angles, within the rounding of a float32 header."""
    size = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / np.where(size > 0, size, 1)
    return bool(np.allclose(axes.T @ axes, np.eye(3), atol=_SHEAR))


_SHEAR = 1e-3
"""Cosine between two axes that are called orthogonal: 0.06°."""


def volume_of(image: SpatialImage) -> Volume:
    """Read one 3D image as float32 Volume, axes (i, j, k) as stored. Raises UnreadableImage."""
    lps_mm, array = lps_of(image), array_of(image)
    while array.ndim > 3 and array.shape[-1] == 1:  # noqa: PLR2004
        array = array[..., 0]
    if array.ndim != 3 or min(array.shape) < 2:  # noqa: PLR2004
        raise UnreadableImage(f"an image of {' x '.join(map(str, array.shape))} voxels; one 3D image is needed")
    if not np.isfinite(array).all():
        array = np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
    return Volume(array, _squared(lps_mm), "PATIENT")


def _squared(lps_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Make axes that are orthogonal within rounding exactly so, which highdicom asks for; sizes stay."""
    size = np.linalg.norm(lps_mm[:3, :3], axis=0)
    u, _, vt = np.linalg.svd(lps_mm[:3, :3] / size)
    squared = lps_mm.copy()
    squared[:3, :3] = (u @ vt) * size
    return squared


def read_nifti(path: Path) -> Volume:
    """Read a NIfTI or MGH file as float32 Volume, axes (i, j, k). Raises PathMissing, UnreadableImage."""
    return volume_of(open_image(path))


def labels_image(labels: Volume, like: SpatialImage | None) -> SpatialImage:
    """Give labels as NIfTI-1 image, uint8; with `like`, whose voxels they have, its affine and codes are copied."""
    from nibabel.nifti1 import Nifti1Header, Nifti1Image  # noqa: PLC0415

    affine = TO_LPS @ labels.affine if like is None else np.asarray(like.affine)
    image = Nifti1Image(np.asarray(labels.array, np.uint8), affine)
    if like is not None and isinstance(like.header, Nifti1Header):
        image.set_sform(like.header.get_sform(), int(like.header["sform_code"]))
        image.set_qform(like.header.get_qform(), int(like.header["qform_code"]))
        image.header.set_xyzt_units(*like.header.get_xyzt_units())
    else:
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"lnc-dicom labels; research only"
    return image
