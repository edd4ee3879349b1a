"""Paths that a user names (images, folders, archives, a BIDS data set) → the heads to segment, each with its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from lnc_dicom.errors import NothingToMeasure, StudyRejected, UnusableInput
from lnc_dicom.research.bids_names import DESCRIPTION, BidsName
from lnc_dicom.research.sources import common_folder, files_under, is_archive, studies_under, unpacked
from lnc_dicom.study.nifti import is_image, stem_of

_T1W = [f"sub-*/{session}anat/*_T1w{end}" for session in ("", "ses-*/") for end in (".nii", ".nii.gz")]


@dataclass(frozen=True, slots=True)
class Head:
    """One head to segment.

    name
        Distinct among the heads of a run; of BIDS, the name of the image without its extension.
    source
        Where it comes from, as the user would name it; in an archive, the path continues inside.
    files
        One image, or the DICOM files of one study.
    labels
        Path of its labels below the folder for results.
    bids
        The name of an image of a BIDS data set; None for others.
    failure
        Why nothing can be read under the path; `files` is then empty.
    """

    name: str
    source: str
    files: tuple[Path, ...] = ()
    labels: Path = Path()
    bids: BidsName | None = None
    failure: StudyRejected | None = None


def find_heads(paths: Sequence[Path], out: Path, stack: ExitStack) -> list[Head]:
    """Find the heads under the paths; what lies under `out` is left out. Archives are open as long as the stack is.

    A path that holds nothing gives a head with its error. Raises PathMissing, and UnusableInput where a BIDS data set
    is named together with something else, or where results would lie among what is read.
    """
    paths, out = [_absolute(path) for path in paths], _absolute(out)
    if out in paths:
        raise UnusableInput("--out is one of the folders to read; name another, which may lie inside it")
    roots = [(path, *_opened(path, stack)) for path in paths]
    if len(paths) > 1 and any(root is not None and is_data_set(root) for _, root, _ in roots):
        raise UnusableInput("a BIDS data set is named together with other paths; name it alone")
    base = paths[0] if len(paths) == 1 and paths[0].is_dir() else common_folder(paths)
    found: list[Head] = []
    for path, root, error in roots:
        heads = [] if root is None else list(_heads_in(root, path, base, out))
        reason = error or NothingToMeasure(f"neither an image nor a DICOM file in {path.name}")
        found += heads or [Head(_name(path, base), str(path), failure=reason)]
    return _distinct(found)


def _absolute(path: Path) -> Path:
    """Give a path from the root, without dots; the name of a file that is a link stays."""
    path = path.expanduser()
    return path.resolve() if path.is_dir() else path.parent.resolve() / path.name


def is_data_set(folder: Path) -> bool:
    """Whether a folder is the top of a BIDS data set."""
    return (folder / DESCRIPTION).is_file()


def _opened(path: Path, stack: ExitStack) -> tuple[Path | None, StudyRejected | None]:
    """Give where the files are: an archive is unpacked; in a single folder at its top, that folder."""
    try:
        root = stack.enter_context(unpacked(path))
    except StudyRejected as error:
        return None, error
    inside = [p for p in root.iterdir() if not p.name.startswith((".", "__MACOSX"))] if is_archive(path) else []
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else root, None


def _heads_in(root: Path, path: Path, base: Path, out: Path) -> Iterator[Head]:
    """Give the heads of one path, which is open at `root`."""
    if is_data_set(root):
        yield from _of_data_set(root, path)
        return
    files = [file for file in files_under(root) if not (out.is_relative_to(root) and file.is_relative_to(out))]
    for image in filter(is_image, files):
        shown = _shown(image, root, path)
        yield Head(_name(shown.with_name(stem_of(shown)), base), str(shown), (image,))
    for study in studies_under(files).values():
        shown = _shown(common_folder(study) if root.is_dir() else root, root, path)
        yield Head(_name(shown, base), str(shown), study)


def _of_data_set(root: Path, path: Path) -> Iterator[Head]:
    """Give the T1w images of a BIDS data set."""
    for image in sorted(found for pattern in _T1W for found in root.glob(pattern)):
        name, stem = BidsName.of(stem_of(image)), stem_of(image)
        if name is not None:
            labels = image.parent.relative_to(root) / f"{name.derived('dseg', seg='lnc')}.nii.gz"
            yield Head(stem, str(_shown(image, root, path)), (image,), labels, name)


def _shown(file: Path, root: Path, path: Path) -> Path:
    """Give the path of a file as the user sees it: inside the archive, not in the folder where it was unpacked."""
    return path / file.relative_to(root)


def _name(shown: Path, base: Path) -> str:
    """Make a name of a path below a folder: its parts joined by underscores."""
    parts = [part.removesuffix(".zip").removesuffix(".dcm") for part in shown.relative_to(base).parts]
    return "_".join(parts) or shown.name


def _distinct(heads: Sequence[Head]) -> list[Head]:
    """Leave out what was found twice, and number those whose names are the same."""
    kept: dict[tuple[Path, ...] | str, Head] = {}
    taken: set[str] = set()
    for head in heads:
        key = tuple(file.resolve() for file in head.files) or head.source
        if key in kept:
            continue
        candidates = (f"{head.name}-{n}" if n > 1 else head.name for n in range(1, len(heads) + 1))
        name = next(name for name in candidates if name not in taken)
        taken.add(name)
        kept[key] = replace(head, name=name, labels=head.labels if head.bids else Path(f"{name}_labels.nii.gz"))
    return list(kept.values())
