"""Who made an object, when, and under which UIDs: the same for every object of a result.

The UID of a series is derived from what went in: images, models, settings, software, kind of object. That of an object
also from the time of the result and from earlier results that it names, so the same UID always stands for the same
bytes. A result that is made again keeps its time if it lies with the study: docs/decisions/0010-uids-and-priors.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from highdicom import ContentQualificationValues, ContributingEquipment
from pydicom import Dataset
from pydicom.valuerep import DA, DT, TM

from lnc_dicom.codes import PROCESSING_EQUIPMENT
from lnc_dicom.provenance import software_version
from lnc_dicom.report import Report
from lnc_dicom.study.priors import OUR_NAME, replaced_result, same_result
from lnc_dicom.types import Prior
from lnc_dicom.uids import tracking_uid, uid

MANUFACTURER = OUR_NAME
DEVICE_SERIAL_NUMBER = "research"


def origin_of(report: Report, now: datetime) -> Origin:
    """Give the origin of a result; if it was made before and lies with the study, it keeps its time."""
    origin = Origin(report, now)
    before = same_result(report.study.priors, origin.series_uid("sr"))
    return replace(origin, now=before.made) if before else origin


@dataclass(frozen=True, slots=True)
class Origin:
    """Source of UIDs and provenance for the objects of one result."""

    report: Report
    now: datetime

    def uid(self, role: str) -> str:
        """UID of the object of a role ("seg", "sr", ...)."""
        named = (self.replaced, self.report.change.since if self.report.change else None)
        history = (prior.uid for prior in named if prior is not None)
        return uid(role, *self._recipe(), self.now.astimezone(UTC).isoformat(), *history)

    def series_uid(self, role: str) -> str:
        """UID of the series of a role: the same whenever the same is computed."""
        return uid(f"series/{role}", *self._recipe())

    def _recipe(self) -> tuple[str, ...]:
        """Give all that decides what is found: images, models, software, settings."""
        model = self.report.model
        used = (i.header for s in self.report.selection.map_series.values() for i in s.instances)
        inputs = sorted(str(d.SOPInstanceUID) for d in (*self.report.sources, *used))
        made_with = (model.name, model.version, model.digest, *self._biomarker(), software_version())
        return (*inputs, *made_with, self.report.settings)

    @property
    def replaced(self) -> Prior | None:
        """Give the result of the same images by another model, other settings or other software, if one is at hand."""
        images = (str(d.SOPInstanceUID) for d in self.report.sources)
        return replaced_result(self.report.study.priors, self.series_uid("sr"), images, self.now)

    def tracking_uid(self, structure: str) -> str:
        """UID that follows a structure of a patient through time points."""
        return tracking_uid(self.report.sources[0], structure)

    def device_uid(self) -> str:
        """UID of this software with this model: another model is another device (IHE AIR 6.5.3.1)."""
        return uid("device", software_version(), self.report.model.digest, *self._biomarker())

    def _biomarker(self) -> tuple[str, ...]:
        """Digest of the biomarker model, where there is one: another model gives other objects."""
        return (self.report.biomarker.model.digest,) if self.report.biomarker else ()

    def equipment(self) -> ContributingEquipment:
        """Describe the algorithm as Contributing Equipment (IHE AIR 6.5.3.1)."""
        item = ContributingEquipment(
            MANUFACTURER,
            PROCESSING_EQUIPMENT,
            manufacturer_model_name=self.report.model.name,
            software_versions=software_version(),
            contribution_datetime=self.now,
        )
        item.DeviceUID = self.device_uid()
        return item

    def common(self, role: str, number: int, description: str) -> dict[str, Any]:
        """Arguments that every highdicom constructor takes."""
        return {
            "series_instance_uid": self.series_uid(role),
            "series_number": number,
            "sop_instance_uid": self.uid(role),
            "instance_number": 1,
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": self.report.model.name,
            "software_versions": software_version(),
            "device_serial_number": DEVICE_SERIAL_NUMBER,
            "series_description": description,
            "content_qualification": ContentQualificationValues.RESEARCH,
            "contributing_equipment": [self.equipment()],
        }

    def finish(self, dataset: Dataset) -> None:
        """Put the result's one time and UIDs in place of highdicom's clock and chance."""
        for name in ("InstanceCreation", "Content", "Series"):
            setattr(dataset, f"{name}Date", DA(self.now.date()))
            setattr(dataset, f"{name}Time", TM(self.now.time()))
        if "DateOfSecondaryCapture" in dataset:
            dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = DA(self.now.date()), TM(self.now.time())
        scanner = self.report.sources[0].get("Manufacturer")
        for item in (e for e in dataset.ContributingEquipmentSequence if e.Manufacturer != scanner):
            item.ContributionDateTime = DT(self.now)  # the scanner's own time stays
        organisation = self.uid("dimensions")
        for name in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
            for item in dataset.get(name, ()):
                item.DimensionOrganizationUID = organisation
        dataset.TimezoneOffsetFromUTC = self.now.strftime("%z") or "+0000"
        self._drop_empty_sequences(dataset)

    def _drop_empty_sequences(self, dataset: Dataset) -> None:
        """Leave out optional sequences that the scanner wrote empty and highdicom copied (PS3.5 7.4.5)."""
        for element in list(self.report.sources[0]):
            if element.VR == "SQ" and not element.value and element.tag in dataset and not dataset[element.tag].value:
                del dataset[element.tag]
