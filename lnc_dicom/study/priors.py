"""An earlier SR of ours → its part in a new result: the same result, one that is replaced, or an earlier time point.

It is recognised by manufacturer and template, and belongs to the patient if its tracking UIDs do: names and
identifiers of patients are neither compared nor kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone

from highdicom.sr.utils import find_content_items
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID, Comprehensive3DSRStorage, ComprehensiveSRStorage

from lnc_dicom.anatomy import Structure
from lnc_dicom.codes import CUBIC_MILLIMETRE, VOLUME
from lnc_dicom.study.values import text
from lnc_dicom.types import Change, Prior, VolumeChange

OUR_NAME = "lnc-dicom"
"""Manufacturer of the objects that we write."""
FILE = "measurements.dcm"
"""Name of the SR among the files of a result."""
SOP_CLASSES = frozenset({Comprehensive3DSRStorage, ComprehensiveSRStorage})
"""Of the SR: as it is written, and as a PACS gets it that takes no other."""
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
ALGORITHM_NAME, ALGORITHM_VERSION = Code("111001", "DCM", "Algorithm Name"), Code("111003", "DCM", "Algorithm Version")


def is_ours(header: Dataset) -> bool:
    """Whether an object was written by us."""
    return text(header, "Manufacturer") == OUR_NAME


def prior_of(document: Dataset) -> Prior | None:
    """Read a report of measurements of ours; None for anything else, or if it is incomplete."""
    template = document.get("ContentTemplateSequence") or [Dataset()]
    if not is_ours(document) or template[0].get("TemplateIdentifier") != "1500":
        return None
    try:
        if document.ConceptNameCodeSequence[0].CodeValue != MEASUREMENT_REPORT.value:
            return None  # a report of predictions measures nothing
        groups = find_content_items(document, MEASUREMENT_GROUP, recursive=True)
        return Prior(
            study_uid=str(document.StudyInstanceUID),
            series_uid=str(document.SeriesInstanceUID),
            uid=str(document.SOPInstanceUID),
            made=_made(document),
            study_date=study_date(document),
            images=frozenset(_evidence(document)),
            algorithm=_algorithm(groups),
            volumes_mm3=_volumes(groups),
            sop_class=UID(document.SOPClassUID),
        )
    except (AttributeError, ValueError, IndexError, TypeError):
        return None


def study_date(header: Dataset) -> date | None:
    """Give the date of a study; None where it is missing or invalid."""
    try:
        return datetime.strptime(str(header.get("StudyDate") or ""), "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def same_result(priors: Iterable[Prior], series_uid: str) -> Prior | None:
    """Give the first result of the same computation, if there is one: a repeated result keeps its time."""
    return min((p for p in priors if p.series_uid == series_uid), key=lambda p: (p.made, p.uid), default=None)


def replaced_result(priors: Iterable[Prior], series_uid: str, images: Iterable[str], now: datetime) -> Prior | None:
    """Give the newest result that was made before now of these images, or of a part of them, by another computation."""
    used = frozenset(images)
    others = (p for p in priors if p.series_uid != series_uid and p.made < now and used & p.images)
    return max(others, key=lambda p: (p.made, p.uid), default=None)


def change_since(
    priors: Sequence[Prior],
    header: Dataset,
    algorithm: tuple[str, str],
    volumes_mm3: Mapping[Structure, float],
    tracking: Mapping[Structure, str],
) -> Change | None:
    """Compare volumes with the newest earlier study of the same patient; None without one.

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
    """Read Content Date and Content Time in the time zone of the document; UTC where it names none."""
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


def _algorithm(groups: Sequence[Dataset]) -> tuple[str, str]:
    """Give name and version from the first group that has both."""
    for group in groups:
        name, version = _child(group, ALGORITHM_NAME), _child(group, ALGORITHM_VERSION)
        if name is not None and version is not None:
            return str(name.TextValue), str(version.TextValue)
    return "", ""


def _volumes(groups: Sequence[Dataset]) -> dict[str, float]:
    """Give the volumes in mm³ by tracking UID."""
    volumes = {}
    for group in groups:
        volume, tracking = _child(group, VOLUME), _child(group, TRACKING_UID)
        if volume is not None and tracking is not None:
            value = volume.MeasuredValueSequence[0]
            if value.MeasurementUnitsCodeSequence[0].CodeValue == CUBIC_MILLIMETRE.value:
                volumes[str(tracking.UID)] = float(value.NumericValue)
    return volumes


def _child(group: Dataset, name: Code) -> Dataset | None:
    return next(iter(find_content_items(group, name)), None)
