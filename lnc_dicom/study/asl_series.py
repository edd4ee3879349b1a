"""Series of a study → those of arterial spin labelling: which they are, and which belong to one acquisition.

Image type, coded attributes and private ones decide; names only where the header says nothing else.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from lnc_dicom.study.candidate import Candidate
from lnc_dicom.study.values import NOT_CONVERTED, element_text, item, number
from lnc_dicom.types import Series

_M0_WORDS = {"m0", "m0scan", "mzero", "mzeroscan", "m0map", "m0w", "m0img"}
_CALIBRATION_WORDS = {"calibration", "calib", "kalibrierung", "calibrazione", "calibracion"}
_SPLIT_VOLUMES = 2
"""From so many series of one volume each, one acquisition is joined."""
PHILIPS_LABEL = 0x20051429
"""Private attribute of Philips' single-frame images: CONTROL or LABEL."""
_PHILIPS_PHASES = 0x20011017
GE_TECHNIQUE = 0x004310A3
"""Private attribute of GE: how the perfusion-weighted image, and how the reference image was labelled."""
_PROTOCOLS = (0x00291020, 0x00291120, 0x00211019)
"""Siemens' private protocols, VB to VE and XA: the name of the sequence stands in their text."""
_SEQUENCE_NAME = re.compile(r'tSequenceFileName\s*=\s*"+([^"]+)')
CONTRAST = 0x00189250
"""Arterial Spin Labeling Contrast."""
_TECHNIQUE = 0x00189252
"""ASL Technique Description."""
_UNSUPPORTED = {
    "vessel-encoded": re.compile(r"vep?casl|(?<![a-z])ve[-_ ]p?casl|(?<![a-z])ve[-_ ]?asl|vessel[-_ ]?(enc|sel)"),
    "time-encoded": re.compile(r"hadamard|time[-_ ]?encod|(?<![a-z])te[-_]?pcasl"),
    "velocity-selective": re.compile(r"velocity[-_ ]?sel|(?<![a-z])vs[-_ ]?asl|vssr"),
    "Look-Locker": re.compile(r"look[-_ ]?locker|(?<![a-z])ll[-_ ]?asl|multi[-_ ]?phase"),
}
"""Labelling whose volumes are not control and label at one time, by the names of sequences."""


def is_asl(c: Candidate) -> bool:
    """Whether it comes from arterial spin labelling, as acquired or computed from it."""
    header = c.series.header
    groups = (item(header, f"{which}FunctionalGroupsSequence") for which in ("Shared", "PerFrame"))
    coded = any("MRArterialSpinLabelingSequence" in group for group in groups)
    if coded or "ASL" in c.attributes.image_type or any(word.endswith("asl") for word in c.attributes.words):
        return True
    return not c.derived and c.volumes > 1 and not c.attributes.diffusion and _is_asl_by_private(c)


def unsupported_kind(series: Series) -> str:
    """Name the kind of labelling where names or the sequence tell one whose volumes are not pairs; "" otherwise."""
    found = _private(series)
    names = (str(series.header.get(k) or "") for k in ("SeriesDescription", "ProtocolName", "SequenceName"))
    text = " ".join((*names, element_text(found, _TECHNIQUE), _sequence_file(found))).lower()
    kind = next((kind for kind, name in _UNSUPPORTED.items() if name.search(text)), "")
    phases = element_text(found, _PHILIPS_PHASES)
    return kind or ("Look-Locker" if phases.isdigit() and int(phases) > 1 else "")


def is_labelling(c: Candidate) -> bool:
    """Whether it holds control and label images as acquired: at least two volumes."""
    return not c.derived and c.volumes > 1 and is_asl(c) and not is_m0(c)


def is_m0(c: Candidate) -> bool:
    """Whether its name says that it is M0 in a series of its own."""
    words = c.attributes.words
    return not c.derived and bool(words & _M0_WORDS or (words & _CALIBRATION_WORDS and is_asl(c)))


def may_be_m0(c: Candidate, labelling: Candidate) -> bool:
    """Whether a series beside a labelling may be its M0 although no name says so: one volume, all else alike.

    Sites name M0 in their own language; the sequence and the grid are those of the labelling.
    """
    same = same_grid(c, labelling) and c.attributes.image_type == labelling.attributes.image_type
    same = same and _contrast(c) == _contrast(labelling)
    return not c.derived and c.volumes == 1 and same


def same_grid(one: Candidate, other: Candidate) -> bool:
    """Whether images of two series have the same size, pixels, orientation and number."""
    return _grid(one) == _grid(other)


def sequence_of(c: Candidate) -> str:
    """Give the name of the pulse sequence."""
    header = c.series.header
    return str(header.get("SequenceName") or header.get("PulseSequenceName") or "").lstrip("*")


def _sequence_file(found: Dataset) -> str:
    """Give the name of the sequence in Siemens' private protocol, in small letters; "" without one."""
    matches = (_SEQUENCE_NAME.search(element_text(found, tag)) for tag in _PROTOCOLS)
    return next((match[1].lower() for match in matches if match), "")


def _private(series: Series) -> Dataset:
    tags = [*_PROTOCOLS, PHILIPS_LABEL, GE_TECHNIQUE, CONTRAST, _TECHNIQUE, _PHILIPS_PHASES]
    try:
        return pydicom.dcmread(series.instances[0].path, stop_before_pixels=True, specific_tags=tags)
    except (OSError, EOFError, InvalidDicomError, *NOT_CONVERTED):
        return Dataset()


def _is_asl_by_private(c: Candidate) -> bool:
    found = _private(c.series)
    label, technique = (element_text(found, tag).strip().upper() for tag in (PHILIPS_LABEL, GE_TECHNIQUE))
    named = label in {"CONTROL", "LABEL"} or "CONTINUOUS" in technique
    return named or CONTRAST in found or "asl" in _sequence_file(found)


def joined(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Join series of one volume each that are one acquisition of labelling, as Siemens XA exports classic images.

    They share names, sequence and grid, and either the series time or consecutive series numbers.
    """
    groups: dict[tuple[object, ...], list[Candidate]] = defaultdict(list)
    for c in candidates:
        if not c.derived and c.volumes == 1 and is_asl(c) and not is_m0(c):
            groups[_kind(c)].append(c)
    runs = [run for group in groups.values() for run in _runs(group) if len(run) >= _SPLIT_VOLUMES]
    taken = {id(c) for run in runs for c in run}
    return [*(c for c in candidates if id(c) not in taken), *(_join(run) for run in runs)]


def _kind(c: Candidate) -> tuple[object, ...]:
    header = c.series.header
    names = tuple(str(header.get(k) or "") for k in ("ProtocolName", "SeriesDescription"))
    return (*names, c.attributes.image_type, *_contrast(c), *_grid(c))


def _contrast(c: Candidate) -> tuple[str, float]:
    return sequence_of(c), round(c.attributes.te_ms or 0.0, 1)


def _grid(c: Candidate) -> tuple[object, ...]:
    plane = c.attributes.planes[0]
    images = len(c.attributes.planes) // max(1, c.volumes)
    axes = tuple(round(x, 2) + 0.0 for x in plane.orientation)
    return (plane.shape, tuple(round(x, 2) for x in plane.pixel_mm), axes, images)


def _runs(group: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """Divide series of one kind where the series time changes; where all times differ, where a number is missing."""
    ordered = sorted(group, key=lambda c: (_number(c), c.attributes.started))
    times = [c.series.header.get("SeriesTime") for c in ordered]
    by_time = len(set(times)) < len(times)
    run: list[Candidate] = []
    for c in ordered:
        previous = run[-1] if run else c
        same_time = c.series.header.get("SeriesTime") == previous.series.header.get("SeriesTime")
        if same_time if by_time else _number(c) - _number(previous) <= 1:
            run.append(c)
        else:
            yield run
            run = [c]
    if run:
        yield run


def _number(c: Candidate) -> int:
    return int(number(c.series.header, "SeriesNumber") or 0)


def _join(run: Sequence[Candidate]) -> Candidate:
    first = run[0]
    series = Series(first.series.uid, tuple(i for c in run for i in c.series.instances))
    planes = tuple(p for c in run for p in c.attributes.planes)
    return Candidate(series, dataclasses.replace(first.attributes, planes=planes))
