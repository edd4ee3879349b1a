"""An earlier SR of ours → what it means for a new result: the same again, replaced by it, or a time point before it.

It is known again by its manufacturer and template, and it belongs to the patient if its tracking UIDs do: no name and
no identifier of a patient is compared or kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone

from pydicom import Dataset

from lnc_dicom.anatomy import Structure
from lnc_dicom.codes import CUBIC_MILLIMETRE, VOLUME
from lnc_dicom.types import Change, Prior, VolumeChange

OUR_NAME = "lnc-dicom"
"""Manufacturer of the objects that we write."""
FILE = "measurements.dcm"
"""Name of the SR among the files of a result."""
_GROUP, _TRACKING_UID, _ALGORITHM, _VERSION = "125007", "112040", "111001", "111003"


def is_ours(header: Dataset) -> bool:
    """Whether we have written an object."""
    return str(header.get("Manufacturer") or "") == OUR_NAME


def prior_of(document: Dataset) -> Prior | None:
    """Read an SR of ours; None if it is something else, or not whole."""
    template = document.get("ContentTemplateSequence") or [Dataset()]
    if not is_ours(document) or template[0].get("TemplateIdentifier") != "1500":
        return None
    groups = [item for item in _items(document) if _name(item) == _GROUP]
    try:
        return Prior(
            study_uid=str(document.StudyInstanceUID),
            series_uid=str(document.SeriesInstanceUID),
            uid=str(document.SOPInstanceUID),
            made=_made(document),
            study_date=study_date(document),
            images=frozenset(_evidence(document)),
            algorithm=_algorithm(groups),
            volumes_mm3=_volumes(groups),
        )
    except (AttributeError, ValueError, IndexError, TypeError):
        return None


def study_date(header: Dataset) -> date | None:
    """Give the date of a study; None where the header does not say or is wrong."""
    try:
        return datetime.strptime(str(header.get("StudyDate") or ""), "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def same_result(priors: Iterable[Prior], series_uid: str) -> Prior | None:
    """Give the first result of the very same computation: it was made before, and its time stays."""
    return min((p for p in priors if p.series_uid == series_uid), key=lambda p: (p.made, p.uid), default=None)


def replaced_result(priors: Iterable[Prior], series_uid: str, images: Iterable[str], now: datetime) -> Prior | None:
    """Give the newest result that was made of the same images before now, but by another computation."""
    needed = frozenset(images)
    others = (p for p in priors if p.series_uid != series_uid and p.made < now and needed <= p.images)
    return max(others, key=lambda p: (p.made, p.uid), default=None)


def change_since(
    priors: Sequence[Prior],
    header: Dataset,
    algorithm: tuple[str, str],
    volumes_mm3: Mapping[Structure, float],
    tracking: Mapping[Structure, str],
) -> Change | None:
    """Compare volumes with the newest earlier study of the same patient; None where there is none.

    header
        Of an image of the new study.
    tracking
        Tracking UIDs of every structure of this patient.
    """
    today = study_date(header)
    dated = [(p.study_date, p) for p in priors if p.study_date and p.study_uid != header.StudyInstanceUID]
    before = [(d, p) for d, p in dated if today and d < today and set(tracking.values()) & set(p.volumes_mm3)]
    if today is None or not before:
        return None
    day, last = max(before, key=lambda found: (found[0], found[1].made, found[1].uid))
    found = ((s, v, last.volumes_mm3.get(tracking[s], 0.0)) for s, v in volumes_mm3.items())
    changes = tuple(VolumeChange(s, new - old, 100 * (new - old) / old) for s, new, old in found if old > 0)
    return Change(last, (today - day).days, changes if last.algorithm == algorithm else ())


def _made(document: Dataset) -> datetime:
    """Read Content Date and Time, in the time zone that the document names."""
    text = str(document.ContentTime)
    clock = datetime.strptime(f"{document.ContentDate}{text}", f"%Y%m%d%H%M%S{'.%f' if '.' in text else ''}")  # noqa: DTZ007
    offset = str(document.get("TimezoneOffsetFromUTC") or "+0000")
    sign = -1 if offset.startswith("-") else 1
    return clock.replace(tzinfo=timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))))


def _evidence(document: Dataset) -> Iterator[str]:
    for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for study in document.get(name) or ():
            for series in study.ReferencedSeriesSequence:
                yield from (str(item.ReferencedSOPInstanceUID) for item in series.ReferencedSOPSequence)


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence") or ():
        yield child
        yield from _items(child)


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].get("CodeValue") or "") if item.get("ConceptNameCodeSequence") else ""


def _algorithm(groups: Sequence[Dataset]) -> tuple[str, str]:
    """Name and version as the first group with both gives them."""
    for group in groups:
        texts = {_name(item): str(item.get("TextValue") or "") for item in group.get("ContentSequence") or ()}
        if _ALGORITHM in texts and _VERSION in texts:
            return texts[_ALGORITHM], texts[_VERSION]
    return "", ""


def _volumes(groups: Sequence[Dataset]) -> dict[str, float]:
    volumes = {}
    for group in groups:
        items = {_name(item): item for item in group.get("ContentSequence") or ()}
        if VOLUME.value in items and _TRACKING_UID in items:
            value = items[VOLUME.value].MeasuredValueSequence[0]
            if value.MeasurementUnitsCodeSequence[0].CodeValue == CUBIC_MILLIMETRE.value:
                volumes[str(items[_TRACKING_UID].UID)] = float(value.NumericValue)
    return volumes
