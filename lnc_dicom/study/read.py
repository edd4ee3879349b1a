"""Paths → the one study that their files belong to. Reads headers only; pixels stay on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from lnc_dicom.errors import NoFiles, PathMissing, SeveralStudies
from lnc_dicom.study.attributes import MR_CLASSES
from lnc_dicom.study.identity import PATIENT, refuse_several_patients
from lnc_dicom.study.priors import SOP_CLASSES, is_ours, prior_of
from lnc_dicom.study.values import NOT_CONVERTED, number, text, texts
from lnc_dicom.types import Caveat, Instance, Prior, Series, Study

UNREADABLE = "LNC-401"
"""Caveat: a file was not used because it is not DICOM, is incomplete, or shares its UID with a different object."""

PRIVATE_B_VALUES = (0x0019100C, 0x20011003)
"""Siemens and Philips: b-values where the public attribute is missing."""

_TAGS: list[BaseTag | int] = [
    Tag(name)
    for name in (
        *PRIVATE_B_VALUES,
        *PATIENT,
        *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "ImageType"),
        *("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "SamplesPerPixel", "PixelSpacing", "SliceThickness"),
        *("ImagePositionPatient", "ImageOrientationPatient", "BodyPartExamined", "SeriesDescription", "ProtocolName"),
        *("RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "ScanningSequence", "SequenceVariant"),
        *("SequenceName", "PulseSequenceName", "EchoPulseSequence", "MRAcquisitionType", "AcquisitionContrast"),
        *("StudyDescription", "AnatomicRegionSequence", "ComplexImageComponent", "EchoNumbers"),
        *("AcquisitionNumber", "InstanceNumber", "TemporalPositionIdentifier", "TriggerTime", "AcquisitionDateTime"),
        *("ContentTime", "ConcatenationUID"),
        *("ContrastBolusVolume", "ContrastBolusTotalDose"),
        *("ContrastBolusAgent", "ContrastBolusAgentSequence", "AngioFlag", "DiffusionBValue", "SeriesNumber"),
        *(
            "Manufacturer",
            "SeriesTime",
            "AcquisitionTime",
            "SharedFunctionalGroupsSequence",
            "PerFrameFunctionalGroupsSequence",
        ),
    )
]
"""Attributes that decide which series is used; the files of that series are read completely afterwards."""

UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID")
"""Attributes without which an object belongs to no study."""
_IMAGE_GROUP = 0x0028
_PIXEL_DATA_TAG = b"\xe0\x7f\x10\x00"
_SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_PIXEL_GROUP, _UNDEFINED = 0x7FE0, 0xFFFFFFFF
_TAIL_BYTES = 4096
"""Compressed pixels end with the delimiter; a few elements or padding may follow it."""


def read_study(paths: Iterable[Path]) -> Study:
    """Read the headers of every DICOM object under the paths (files or folders).

    Objects without study or series, truncated objects and files that are not DICOM are not used; `caveats` names them.
    Results of ours become `priors`; results of other studies do not count as a study. Raises PathMissing, NoFiles,
    SeveralStudies, SeveralPatients.
    """
    found: dict[str, Instance] = {}
    others: list[Dataset] = []
    caveats = []
    for path in _files(paths):
        try:
            header = _read_header(path)
        except _UnusableError as error:
            caveats.append(Caveat(UNREADABLE, f"{path.name}: {error}"))
            continue
        if header is not None:
            first = found.setdefault(text(header, "SOPInstanceUID"), Instance(path, header))
            if _differ(first.header, header):
                others.append(header)
    if others:
        doubled = len(others)
        objects = "1 object shares its" if doubled == 1 else f"{doubled} objects share their"
        shared = f"{objects} SOP Instance UID with a different one; not used"
        caveats.append(Caveat(UNREADABLE, shared, is_our_text=True))
    priors = read_results(i.path for i in found.values() if text(i.header, "SOPClassUID") in SOP_CLASSES)
    studies = {text(i.header, "StudyInstanceUID") for i in found.values() if not is_ours(i.header)}
    studies = studies or {text(i.header, "StudyInstanceUID") for i in found.values()}
    if not studies:
        named = "; ".join(c.text for c in caveats[:5])
        raise NoFiles("no DICOM object was found" + (f" ({named})" if named else ""))
    if len(studies) > 1:
        raise SeveralStudies(f"the files belong to {len(studies)} studies")
    (study,) = studies
    of_study = {uid: i for uid, i in found.items() if text(i.header, "StudyInstanceUID") == study}
    refuse_several_patients(
        (*(i.header for i in of_study.values()), *(h for h in others if text(h, "StudyInstanceUID") == study))
    )
    return Study(study, _by_series(of_study), tuple(caveats), priors)


def _differ(first: Dataset, header: Dataset) -> bool:
    """Whether two headers under one UID differ; headers that cannot be compared do."""
    if first is header:
        return False
    try:
        return bool(first != header)
    except NOT_CONVERTED:
        return True


def read_results(paths: Iterable[Path]) -> tuple[Prior, ...]:
    """Read our own SRs among files, in the order of their UIDs; other and unreadable files are ignored."""
    found: dict[str, Prior] = {}
    for path in paths:
        try:
            prior = prior_of(pydicom.dcmread(path))
        except (OSError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError, InvalidDicomError):
            continue
        if prior is not None:
            found.setdefault(prior.uid, prior)
    return tuple(prior for _, prior in sorted(found.items()))


def with_results(study: Study, results: Iterable[Prior]) -> Study:
    """Add earlier results of the same study that are stored elsewhere."""
    known = {prior.uid: prior for prior in (*(r for r in results if r.study_uid == study.uid), *study.priors)}
    return replace(study, priors=tuple(prior for _, prior in sorted(known.items())))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Give every file under the paths, sorted by name."""
    for path in paths:
        if not path.exists():
            raise PathMissing(f"{path} does not exist")
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        else:
            yield path


class _UnusableError(Exception):
    """A file that is not a complete DICOM object; the message says why."""


def _read_header(path: Path) -> Dataset | None:
    """Read the attributes that decide whether an object is used; None for a DICOMDIR."""
    try:
        with path.open("rb") as file:
            header = _parse(file)
            whole = _is_whole(header, file)
    except InvalidDicomError as error:
        raise _UnusableError("not a DICOM file") from error
    except NOT_CONVERTED as error:
        raise _UnusableError("unreadable or truncated") from error
    if text(header.file_meta, "MediaStorageSOPClassUID") == pydicom.uid.MediaStorageDirectoryStorage:
        return None
    if any(len(texts(header, n)) != 1 for n in UIDS):
        raise _UnusableError("not an object of a study, or truncated")
    if text(header, "SOPClassUID") in MR_CLASSES and "Rows" not in header:
        raise _UnusableError("truncated: attributes are missing")
    if not whole:
        raise _UnusableError("truncated: pixels are missing")
    return header


def _parse(file: BinaryIO) -> Dataset:
    """Read a single-frame image up to its image attributes, a multi-frame one, whose geometry comes later, completely.

    Stopping early takes a third of the time where scanners write long private groups.
    """
    header = read_partial(file, lambda tag, _vr, _length: tag.group > _IMAGE_GROUP, specific_tags=_TAGS)
    if "NumberOfFrames" in header:
        file.seek(0)
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
    return header


def _is_whole(header: Dataset, file: BinaryIO) -> bool:
    """Whether a file holds what its header says: all pixels of an image, every element of another object."""
    if UID(text(header.file_meta, "TransferSyntaxUID")).is_deflated:
        return True  # a truncated deflated file cannot be read at all
    if "Rows" in header and "BitsAllocated" in header and _ends_with_pixels(header, file):
        return True
    return _all_elements_are_there(header, file)


def _ends_with_pixels(header: Dataset, file: BinaryIO) -> bool:
    """Whether the pixels that the header says are the last element: a quick look at the end of the file."""
    size = file.seek(0, 2)
    if UID(text(header.file_meta, "TransferSyntaxUID")).is_encapsulated:
        file.seek(max(0, size - _TAIL_BYTES))
        return _SEQUENCE_DELIMITER in file.read()
    rows, columns, frames, samples, bits = (
        int(number(header, name) or default)
        for name, default in zip(
            ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated"), (0, 0, 1, 1, 16), strict=True
        )
    )
    length = rows * columns * frames * samples * bits // 8
    for tag_to_pixels in (12, 8):  # explicit and implicit VR, PS3.5 7.1
        start = size - (length + length % 2) - tag_to_pixels
        if start > 0 and file.seek(start) and file.read(4) == _PIXEL_DATA_TAG:
            return True
    return False


def _all_elements_are_there(header: Dataset, file: BinaryIO) -> bool:
    """Whether no element reaches beyond the end of the file, and an image has pixels, whatever their encoding.

    The length of every element counts, not that of the pixels by the header: YBR 4:2:2 stores two samples of three.
    """
    size = file.seek(0, 2)
    file.seek(0)
    ends, tags = [0], set()

    def look(tag: BaseTag, _vr: str | None, length: int) -> bool:
        tags.add(tag)
        if length == _UNDEFINED:
            ends.append(size)  # pydicom raises where its items are cut
            return tag.group == _PIXEL_GROUP  # encapsulated pixels: looked for at the end
        ends.append(file.tell() + length)
        return ends[-1] > size

    read_partial(file, look, specific_tags=[Tag("Rows")])
    if max(ends) > size or not _is_padding(file, ends[-1]):
        return False
    if "Rows" not in header or "BitsAllocated" not in header:
        return True
    if UID(text(header.file_meta, "TransferSyntaxUID")).is_encapsulated:
        return _ends_with_pixels(header, file)
    return any(tag.group == _PIXEL_GROUP for tag in tags) or Tag("PixelDataProviderURL") in tags


def _is_padding(file: BinaryIO, start: int) -> bool:
    """Whether nothing follows but zeros: a part of an element is none."""
    file.seek(start)
    return not file.read(_TAIL_BYTES).strip(b"\0")


def _by_series(found: dict[str, Instance]) -> tuple[Series, ...]:
    """Group instances by series, sorted by UID, so that file names do not matter."""
    groups: dict[str, list[Instance]] = {}
    for _, instance in sorted(found.items()):
        groups.setdefault(text(instance.header, "SeriesInstanceUID"), []).append(instance)
    return tuple(Series(uid, tuple(instances)) for uid, instances in sorted(groups.items()))
