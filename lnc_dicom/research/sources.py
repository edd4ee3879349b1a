"""What a user names (a file, a folder, an archive, a value in memory) → an image or the files of DICOM studies."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import MediaStorageDirectoryStorage

from lnc_dicom.errors import PathMissing, UnreadableImage
from lnc_dicom.study.nifti import is_image
from lnc_dicom.study.values import NOT_CONVERTED, text, texts

_STUDY = ["StudyInstanceUID"]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive by its name."""
    return path.suffix.lower() == ".zip" and path.is_file()


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give a folder with what an archive holds, as long as the context lasts; any other path as it is.

    Raises PathMissing, UnreadableImage where the archive is damaged or has a password.
    """
    if not path.exists():
        raise PathMissing(f"{path} does not exist")
    if not is_archive(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="lnc-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
            raise UnreadableImage(f"{path.name} is a damaged zip archive or has a password") from error
        yield Path(folder)


def files_under(path: Path) -> list[Path]:
    """Give the files of a folder, sorted, without hidden ones; those that a DICOMDIR names; else the file itself."""
    if path.is_dir():
        inside = (p.relative_to(path) for p in path.rglob("*") if p.is_file())
        return sorted(path / p for p in inside if not any(part.startswith((".", "__MACOSX")) for part in p.parts))
    return _named_by(path) or [path]


def _named_by(path: Path) -> list[Path]:
    """Give the files that a DICOMDIR names; none where the file is no DICOMDIR."""
    if path.name.upper() != "DICOMDIR":
        return []
    try:
        directory = pydicom.dcmread(path)
        if text(directory.file_meta, "MediaStorageSOPClassUID") != MediaStorageDirectoryStorage:
            return []
        named = [texts(record, "ReferencedFileID") for record in directory.get("DirectoryRecordSequence") or []]
        return sorted({path.parent.joinpath(*parts) for parts in named if parts})
    except (OSError, EOFError, InvalidDicomError, *NOT_CONVERTED) as error:
        raise UnreadableImage(f"{type(error).__name__} while the DICOMDIR was read; name its folder instead") from error


def images_among(files: Iterable[Path]) -> list[Path]:
    """Give the NIfTI and MGH images among files."""
    return [file for file in files if is_image(file)]


def studies_under(files: Iterable[Path]) -> dict[str, tuple[Path, ...]]:
    """Divide DICOM files by Study Instance UID, in the order of their names; other files are left out."""
    found: dict[str, list[Path]] = {}
    for path in files:
        uid = _study_uid(path)
        if uid:
            found.setdefault(uid, []).append(path)
    return {uid: tuple(paths) for uid, paths in found.items()}


def _study_uid(path: Path) -> str:
    if is_image(path):
        return ""
    try:
        header: Dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_STUDY)
        return text(header, "StudyInstanceUID")
    except (OSError, EOFError, InvalidDicomError, *NOT_CONVERTED):
        return ""


def common_folder(paths: Sequence[Path]) -> Path:
    """Give the deepest folder that holds all files."""
    folder = paths[0].parent
    while not all(path.is_relative_to(folder) for path in paths):
        folder = folder.parent
    return folder
