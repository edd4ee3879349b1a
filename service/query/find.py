"""What an archive shows of a study, by C-FIND with the study root (PS3.4 C.6.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydicom import Dataset
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from lnc_dicom.errors import PacsUnreachable
from lnc_service.associate import Peer, association

FIND = str(StudyRootQueryRetrieveInformationModelFind)
_PENDING = frozenset({0xFF00, 0xFF01})


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series as an archive shows it; `images` is None where it does not count them."""

    uid: str
    modality: str
    description: str
    images: int | None


def find_series(peer: Peer, calling_ae_title: str, study_uid: str) -> tuple[FoundSeries, ...]:
    """Give every series of a study. Raises PacsUnreachable.

    Where an archive does not count (Number of Series Related Instances is optional), its images are listed and
    counted.
    """
    with association(peer, calling_ae_title, [FIND]) as archive:
        keys = _keys("SERIES", StudyInstanceUID=study_uid)
        names = ("SeriesInstanceUID", "Modality", "SeriesDescription", "NumberOfSeriesRelatedInstances")
        found = [_series(answer) for answer in _find(archive, keys, names)]
        return tuple(s if s.images is not None else _counted(archive, study_uid, s) for s in found)


def find_images(peer: Peer, calling_ae_title: str, study_uid: str, series: Iterable[str]) -> Mapping[str, set[str]]:
    """Give the SOP Instance UIDs that an archive shows of each series. Raises PacsUnreachable."""
    with association(peer, calling_ae_title, [FIND]) as archive:
        return {uid: _images(archive, study_uid, uid) for uid in series}


def _series(answer: Dataset) -> FoundSeries:
    count = answer.get("NumberOfSeriesRelatedInstances")
    return FoundSeries(
        str(answer.get("SeriesInstanceUID") or ""),
        str(answer.get("Modality") or ""),
        str(answer.get("SeriesDescription") or ""),
        None if count in (None, "") else int(count),
    )


def _counted(archive: Association, study_uid: str, series: FoundSeries) -> FoundSeries:
    images = len(_images(archive, study_uid, series.uid))
    return FoundSeries(series.uid, series.modality, series.description, images)


def _images(archive: Association, study_uid: str, series_uid: str) -> set[str]:
    keys = _keys("IMAGE", StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid)
    return {str(answer.get("SOPInstanceUID") or "") for answer in _find(archive, keys, ("SOPInstanceUID",))}


def _keys(level: str, **known: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = level
    for name, value in known.items():
        setattr(keys, name, value)
    return keys


def _find(archive: Association, keys: Dataset, names: Iterable[str]) -> Iterator[Dataset]:
    """Give every match. Raises PacsUnreachable where the archive does not answer to the end, or with a failure."""
    for name in names:
        setattr(keys, name, None if name == "NumberOfSeriesRelatedInstances" else "")
    if not archive.is_established:
        raise PacsUnreachable("C-FIND with the study root is not accepted")
    status = Dataset()
    for status, answer in archive.send_c_find(keys, FIND):
        if status.get("Status") in _PENDING and answer is not None:
            yield answer
    if status.get("Status") != 0:
        raise PacsUnreachable("no end of C-FIND" if "Status" not in status else f"C-FIND status {status.Status:04X}")
