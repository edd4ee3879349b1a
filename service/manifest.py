"""A study folder → its manifest: what was received, in which order, and what of it is measured.

The job is named after the manifest, and computing reads nothing that the manifest does not name: objects that arrive
later make another manifest and another job. Two contents are the same if the same SOP Instance UIDs have the same
pixels at the same place and name the same patient; other differences are the archive's and make no new job.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import Dataset, FileDataset
from pydicom.errors import InvalidDicomError

from lnc_dicom.study.priors import is_ours
from lnc_service.alternatives import alternative_uid
from lnc_service.rules.rule import Priority, Rule, rule_of
from lnc_service.spool import Spool, write_durably

_IDENTITY = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "AccessionNumber")
"""Attributes that results repeat: where they are corrected, the results are made again."""
_PLACE = ("Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
_SCALE = ("RescaleSlope", "RescaleIntercept")
_FOUND_BY = ("PatientID", "AccessionNumber", "StudyDate")
"""What an operator may type to find a study; only digests of the values are written."""
_PRIORITIES = ("RequestedProcedurePriority", "ScheduledProcedureStepPriority")
"""(0040,1003) and (0074,1200), at the top of an image or in its Request Attributes Sequence."""
_URGENT = frozenset({"STAT", "HIGH"})
_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "Manufacturer")
_CHUNK_BYTES = 1 << 20
_SECOND_NS = 1_000_000_000


class Closed(StrEnum):
    """Why a study was closed."""

    QUIET = "quiet"
    """Nothing arrived for the quiet time."""
    LONGEST_WAIT = "longest wait"
    """It never fell quiet."""
    OPERATOR = "operator"
    """Somebody asked for it: `lnc jobs close`."""


@dataclass(frozen=True, slots=True)
class ReceivedObject:
    """One file of a study folder.

    digest
        SHA-256 of the file, which is its name.
    arrived_ns
        When it arrived last, in nanoseconds since the epoch.
    image
        Digest of its pixels, their place and their scale; of the whole file where there are no pixels.
    identity
        Digest of the patient and the request that it names.
    ours
        Whether it is a result of ours that came back.
    stat
        Whether it asks to be measured before others: by its header, or because a sender of `listen.stat` sent it.
    """

    digest: str
    arrived_ns: int
    sop_uid: str
    series_uid: str
    image: str
    identity: str
    ours: bool
    found_by: tuple[str, ...] = ()
    stat: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules in force said of a study when it was closed.

    rule
        The rule as text (`Rule.as_text`); empty: none fits.
    missing
        Patterns of series that were waited for and did not come.
    left_out
        Names of the files that the rule leaves out.
    """

    rule: str
    missing: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one job measures.

    made
        Time of the results, in seconds since the epoch: the last arrival, but later than any earlier manifest's.
    objects
        Everything that lay in the folder, in order of arrival.
    used
        Digests of the files that are measured; none once the images have been forgotten.
    replaced
        How many objects a later arrival with other pixels has replaced.
    version
        Tells the content apart from an earlier one under the same UIDs; empty for the first.
    earlier
        Jobs of the same study that were closed before.
    rule
        The rule under which it was closed; empty: none fitted; None: there were no rules.
    missing
        Patterns of series that were waited for and did not come.
    """

    key: str
    job: str
    closed: str
    reason: Closed
    made: float
    objects: tuple[ReceivedObject, ...]
    used: tuple[str, ...]
    replaced: int
    version: str
    earlier: tuple[str, ...]
    rule: str | None = None
    missing: tuple[str, ...] = ()

    @property
    def applied(self) -> Rule | None:
        """The rule that counts for this job, whatever the rules say now."""
        return rule_of(self.rule or "")

    @property
    def stat(self) -> bool:
        """Whether it is measured before others: as its rule says, or else its images."""
        rule = self.applied
        if rule is not None and rule.priority is not None:
            return rule.priority is Priority.STAT
        used = frozenset(self.used)
        return any(o.stat for o in self.objects if o.digest in used)

    def paths(self, spool: Spool) -> list[Path]:
        """Files to measure."""
        return [spool.received / self.key / f"{digest}.dcm" for digest in self.used]


def close_study(spool: Spool, key: str, reason: Closed, closed: str, verdict: Verdict | None = None) -> Manifest | None:
    """Write the manifest of what lies in a study folder now; give the one that is there if the content is known.

    closed
        The time, for people.
    verdict
        What the rules say; None where there are none.
    Returns None where there is nothing to measure: no object, or only results of ours.
    """
    earlier = manifests_of(spool, key)
    objects = read_folder(spool.received / key, _result_uids(spool, earlier))
    used, replaced = choose(objects)
    images = [o for o in used if not o.ours]
    if not images:
        return None
    content = _content(images)
    job = spool.job_name(key, content)
    path = spool.manifest(key, job)
    if path.is_file():
        return read_manifest(path)
    made = max(o.arrived_ns for o in images)
    made = max([made, *(int(m.made * _SECOND_NS) + _SECOND_NS for m in earlier)])
    digests = tuple(o.digest for o in used)
    version = content if _came_otherwise(objects) else ""
    names = tuple(m.job for m in earlier)
    manifest = Manifest(key, job, closed, reason, made / _SECOND_NS, objects, digests, replaced, version, names)
    manifest = _under(manifest, verdict)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, manifest)
    return manifest


def _under(manifest: Manifest, verdict: Verdict | None) -> Manifest:
    """Take out what the rule leaves out, and note the rule."""
    if verdict is None:
        return replace(manifest, rule=None, missing=())
    used = tuple(digest for digest in manifest.used if f"{digest}.dcm" not in verdict.left_out)
    return replace(manifest, rule=verdict.rule, missing=verdict.missing, used=used)


def decide_anew(spool: Spool, manifest: Manifest, verdict: Verdict | None) -> Manifest:
    """Write a manifest again, under another rule. For jobs that have no result: no rule wanted them."""
    used, _ = choose(manifest.objects)
    anew = _under(replace(manifest, used=tuple(o.digest for o in used)), verdict)
    _write(spool.manifest(manifest.key, manifest.job), anew)
    return anew


def shorten_manifests(spool: Spool, key: str) -> None:
    """Drop what the manifests of a study say of images that are gone; what finds the study stays.

    A thousand images take 0.7 MB, for each of the thousands of jobs that are remembered.
    """
    for manifest in manifests_of(spool, key):
        found_by = {o.found_by: o for o in reversed(manifest.objects)}
        short = replace(manifest, objects=tuple(found_by.values()), used=())
        _write(spool.manifest(key, manifest.job), short)


def _write(path: Path, manifest: Manifest) -> None:
    write_durably(path, json.dumps(asdict(manifest), indent=1).encode())


def read_manifest(path: Path) -> Manifest:
    """Read what `close_study` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    objects = (ReceivedObject(**{**o, "found_by": tuple(o["found_by"])}) for o in values.pop("objects"))
    changed = {"reason": Closed(values["reason"]), "objects": tuple(objects)}
    lists = {name: tuple(values.get(name, ())) for name in ("used", "earlier", "missing")}
    return Manifest(**{**values, **changed, **lists})


def manifests_of(spool: Spool, key: str) -> list[Manifest]:
    """Every manifest of a study, the oldest first."""
    return sorted((read_manifest(p) for p in spool.manifests_of(key)), key=lambda m: m.made)


def read_folder(folder: Path, results: Iterable[str] = ()) -> tuple[ReceivedObject, ...]:
    """Look at every object of a study folder, in order of arrival.

    results
        SOP Instance UIDs of results of ours, which may come back with other attributes.
    """
    known = frozenset(results)
    with os.scandir(folder) as entries:
        found = [(e.stat().st_mtime_ns, Path(e.path)) for e in entries if e.name.endswith(".dcm")]
    return tuple(_read(path, arrived_ns, known) for arrived_ns, path in sorted(found))


def choose(objects: Sequence[ReceivedObject]) -> tuple[tuple[ReceivedObject, ...], int]:
    """Choose what is measured, in order of arrival, and count the objects that other pixels have replaced.

    Of each SOP Instance UID the newest arrival is used. A series of which images came again with other pixels is used
    as it came the last time and never mixed with what came before.
    """
    begins_ns = {uid: _last_transmission_ns(group) for uid, group in _by(objects, "series_uid").items()}
    newest = {o.sop_uid or o.digest: o for o in objects}
    used = [o for o in newest.values() if o.arrived_ns >= begins_ns[o.series_uid]]
    kept = {(o.sop_uid, o.image) for o in used}
    replaced = sum((o.sop_uid, o.image) not in kept for o in objects)
    return tuple(sorted(used, key=lambda o: (o.arrived_ns, o.digest))), replaced


def _last_transmission_ns(series: Sequence[ReceivedObject]) -> int:
    """Say when the transmission that counts began: the last in which the pixels of an image differed from before."""
    rounds = {uid: _pixels_in_order(group) for uid, group in _by(series, "sop_uid").items() if uid}
    count = max((len(arrivals) for arrivals in rounds.values()), default=1)
    return 0 if count == 1 else min(arrivals[-1] for arrivals in rounds.values() if len(arrivals) == count)


def _pixels_in_order(group: Sequence[ReceivedObject]) -> list[int]:
    """Give the first arrival of each different image of one SOP Instance UID."""
    first: dict[str, int] = {}
    for item in group:
        first.setdefault(item.image, item.arrived_ns)
    return list(first.values())


def _came_otherwise(objects: Sequence[ReceivedObject]) -> bool:
    """Whether a SOP Instance UID came with several images or identities: its results need UIDs of their own."""
    images = [o for o in objects if not o.ours]
    return len({(o.sop_uid, o.image, o.identity) for o in images}) > len({o.sop_uid or o.image for o in images})


def _content(images: Iterable[ReceivedObject]) -> str:
    return _digest(*sorted(f"{o.sop_uid} {o.image} {o.identity}" for o in images))


def _read(path: Path, arrived_ns: int, results: frozenset[str]) -> ReceivedObject:
    """Read what decides about one object; one that cannot be read has no UIDs, and computing says so."""
    digest = path.stem
    try:
        with path.open("rb") as file:
            names = [*_UIDS, *_IDENTITY, *_PLACE, *_SCALE, *_FOUND_BY, *_PRIORITIES, "RequestAttributesSequence"]
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=names)
            image = _image(header, file) if "Rows" in header else digest
            sop_uid, series_uid = str(header.get("SOPInstanceUID") or ""), str(header.get("SeriesInstanceUID") or "")
            identity, found_by = _digest(*_texts(header, _IDENTITY)), _digests_of(header)
            ours, stat = is_ours(header) or sop_uid in results, _is_stat(header)
    except (OSError, InvalidDicomError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError):
        return ReceivedObject(digest, arrived_ns, "", "", digest, "", ours=False)
    return ReceivedObject(digest, arrived_ns, sop_uid, series_uid, image, identity, ours, found_by, stat)


def _is_stat(header: FileDataset) -> bool:
    """Tell whether an object asks to be measured before others; the receiver names the senders of `listen.stat`."""
    items = [header, *(header.get("RequestAttributesSequence") or ())]
    said = {text.upper() for item in items for text in _texts(item, _PRIORITIES)}
    return bool(said & _URGENT or header.file_meta.get("SendingApplicationEntityTitle"))


def _image(header: Dataset, file: BinaryIO) -> str:
    """Digest pixels as they are encoded, read in chunks, and what says where they lie."""
    file.read(8 if header.file_meta.TransferSyntaxUID.is_implicit_VR else 12)  # PS3.5 7.1: tag, VR, length
    pixels = hashlib.sha256("\n".join(_texts(header, (*_PLACE, *_SCALE))).encode())
    while chunk := file.read(_CHUNK_BYTES):
        pixels.update(chunk)
    return pixels.hexdigest()


def _digests_of(header: Dataset) -> tuple[str, ...]:
    return tuple(search_digest(text) for text in _texts(header, _FOUND_BY) if text)


def search_digest(text: str) -> str:
    """Digest of what an operator types, or of the attribute that it is compared with."""
    return _digest("find", text.strip().casefold())


def _texts(header: Dataset, names: Iterable[str]) -> list[str]:
    return [str(header.get(name) or "").strip() for name in names]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _by(objects: Iterable[ReceivedObject], attribute: str) -> Mapping[str, list[ReceivedObject]]:
    groups: dict[str, list[ReceivedObject]] = defaultdict(list)
    for item in objects:
        groups[getattr(item, attribute)].append(item)
    return groups


def _result_uids(spool: Spool, manifests: Iterable[Manifest]) -> set[str]:
    """SOP Instance UIDs of the results that the jobs of a study have made, and of what was sent instead of them."""
    uids: set[str] = set()
    for manifest in manifests:
        try:
            result = json.loads((spool.results(manifest.job) / "result.json").read_text(encoding="utf-8"))
            made = {str(item["sop_instance_uid"]) for item in result.get("objects", ())}
            uids |= made | {alternative_uid(uid) for uid in made}
        except (OSError, ValueError):
            continue  # not computed yet, or no result
    return uids
