"""Headers with one to three attributes that are missing or wrong, as archives and scanners leave them."""

from __future__ import annotations

import random
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from lnc_dicom.study.read import _TAGS

VALUES = (
    *(b"", b"0 ", b"1 ", b"abc ", b"1,00\\1,00 ", b"NaN ", b"inf\\1 ", b"1e308\\1e308 ", b"-1\\-1 ", b"0\\0 "),
    *(
        b"1\\2\\3 ",
        b"0\\0\\0\\0\\0\\0 ",
        b"1\\0\\0\\1\\0\\0 ",
        b"\\\\",
        b"\xff\xfe\x00\x80",
        b"\x01",
        b"99999999999999999999",
    ),
    b"x" * 200,
)
VRS = ("DS", "IS", "LO", "CS", "UI", "PN", "US", "FD", "OB", "DA", "TM", "SQ")


def mutate(dataset: Dataset, chance: random.Random) -> None:
    """Spoil one to three attributes."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        tag = Tag(chance.choice(_TAGS))
        action = chance.random()
        if action < 0.2:
            dataset.pop(tag, None)
            continue
        vr = dictionary_VR(tag) if action < 0.8 and not tag.is_private else chance.choice(VRS)
        if vr == "SQ":
            dataset.add_new(tag, "SQ", chance.choice(([], [Dataset()], [_nested()])))
            continue
        value = chance.choice(VALUES)
        dataset._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, is_implicit_VR=False, is_little_endian=True)


def _nested() -> Dataset:
    outer = Dataset()
    outer.PlanePositionSequence, outer.PixelMeasuresSequence = [], [Dataset()]
    outer.FrameAnatomySequence = [Dataset()]
    return outer


def write_mutated(folder: Path, paths: list[Path], chance: random.Random) -> None:
    """Copy a series; spoil every image alike, or some of them."""
    folder.mkdir(parents=True, exist_ok=True)
    alike, seed = chance.random() < 0.5, chance.random()
    spoiled = set(paths) if alike else set(chance.sample(paths, min(len(paths), chance.randint(1, 3))))
    for path in paths:
        dataset = pydicom.dcmread(path)
        if path in spoiled:
            mutate(dataset, random.Random(seed) if alike else chance)  # noqa: S311 - draws of a test
        dataset.save_as(folder / path.name)
