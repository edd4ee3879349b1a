"""Names of BIDS (1.10): entities of a file, and the files beside it that describe it, by the inheritance principle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from lnc_dicom.errors import UnreadableSeries
from lnc_dicom.study.nifti import stem_of

DESCRIPTION = "dataset_description.json"
_LEVELS = 4
"""A file lies at most so deep: data set, subject, session, kind of data."""


@dataclass(frozen=True, slots=True)
class BidsName:
    """A name such as sub-01_ses-2_run-1_T1w: its entities in their order, and its suffix."""

    entities: tuple[tuple[str, str], ...]
    suffix: str

    @classmethod
    def of(cls, stem: str) -> Self | None:
        """Take a name without extension apart; None where it is none of BIDS."""
        *parts, suffix = stem.split("_")
        pairs = [part.partition("-") for part in parts]
        if not suffix.isalnum() or any(not (key and dash and value) for key, dash, value in pairs):
            return None
        return cls(tuple((key, value) for key, _, value in pairs), suffix)

    def __str__(self) -> str:
        """Put it together again."""
        return "_".join([*(f"{key}-{value}" for key, value in self.entities), self.suffix])

    def derived(self, suffix: str, **more: str) -> BidsName:
        """Give the name of a derivative: entities are added at the end."""
        return replace(self, entities=(*self.entities, *more.items()), suffix=suffix)

    @property
    def subject(self) -> str:
        """Label of the subject; empty where there is none."""
        return dict(self.entities).get("sub", "")

    @property
    def session(self) -> str:
        """Label of the session; empty where there is none."""
        return dict(self.entities).get("ses", "")

    def describes(self, image: BidsName) -> bool:
        """Whether a file of this name is about an image: same suffix, and no entity that the image lacks."""
        return self.suffix == image.suffix and set(self.entities) <= set(image.entities)


def beside(image: Path, suffix: str, extension: str) -> Path | None:
    """Find the nearest file with a suffix and an extension that is about an image; None without one."""
    return next(reversed(list(_about(image, suffix, extension))), None)


def description(image: Path) -> dict[str, Any]:
    """Read the JSON sidecars of an image; nearer ones win. Raises UnreadableSeries."""
    name = BidsName.of(stem_of(image))
    found: dict[str, Any] = {}
    if name is None:
        own = image.with_name(stem_of(image) + ".json")
        return _json(own) if own.is_file() else {}
    for path in _about(image, name.suffix, ".json"):
        found |= _json(path)
    return found


def _about(image: Path, suffix: str, extension: str) -> Iterator[Path]:
    """Give the files about an image, from the data set down to its folder, the most specific last."""
    name = BidsName.of(stem_of(image))
    if name is None:
        return
    wanted = replace(name, suffix=suffix)
    folders = [image.parent, *image.parent.parents][:_LEVELS]
    top = next((i for i, folder in enumerate(folders) if (folder / DESCRIPTION).is_file()), 0)
    for folder in reversed(folders[: top + 1]):
        names = {p: BidsName.of(p.name.removesuffix(extension)) for p in sorted(folder.glob(f"*{suffix}{extension}"))}
        about = [(len(n.entities), p) for p, n in names.items() if n is not None and n.describes(wanted)]
        yield from (p for _, p in sorted(about))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableSeries(f"{path.name} is not JSON") from error
    if not isinstance(found, dict):
        raise UnreadableSeries(f"{path.name} holds no object")
    return found
