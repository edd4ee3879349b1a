"""Provenance of a result: who made it, when, and under which UIDs; the same for all of its objects.

The UID of a series is derived from the images, models, settings, software and kind of object. The UID of an object is
also derived from the time of the result and from the earlier results that it names, so one UID always stands for the
same bytes. A result that is made again keeps its time if it is stored with the study
(docs/decisions/0010-uids-and-priors.md).
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


def provenance_of(report: Report, now: datetime) -> Provenance:
    """Give the provenance of a result made now, or earlier if the same result is stored with the study."""
    provenance = Provenance(report, now)
    before = same_result(report.study.priors, provenance.series_uid("sr"))
    return replace(provenance, now=before.made) if before else provenance


@dataclass(frozen=True, slots=True)
class Provenance:
    """UIDs, times and equipment of the objects of one result."""

    report: Report
    now: datetime

    def uid(self, role: str) -> str:
        """Give the UID of the object with a role ("seg", "sr", ...)."""
        named = (self.replaced, self.report.change.since if self.report.change else None)
        history = (prior.uid for prior in named if prior is not None)
        return uid(role, *self._recipe(), self.now.astimezone(UTC).isoformat(), *history)

    def series_uid(self, role: str) -> str:
        """Give the UID of the series with a role: the same whenever the same is computed."""
        return uid(f"series/{role}", *self._recipe())

    def _recipe(self) -> tuple[str, ...]:
        """Give everything that determines the result: images, models, software, settings."""
        model = self.report.model
        used = (i.header for s in self.report.selection.map_series.values() for i in s.instances)
        inputs = sorted(str(d.SOPInstanceUID) for d in (*self.report.sources, *used))
        made_with = (model.name, model.version, model.digest, *self._biomarker(), software_version())
        version = (self.report.study.version,) if self.report.study.version else ()
        return (*inputs, *made_with, self.report.settings, *version)

    @property
    def replaced(self) -> Prior | None:
        """Give the result of the same images by another model, other settings or other software, if there is one."""
        images = (str(d.SOPInstanceUID) for d in self.report.sources)
        return replaced_result(self.report.study.priors, self.series_uid("sr"), images, self.now)

    def tracking_uid(self, structure: str) -> str:
        """Give the UID that identifies a structure of the patient at all time points."""
        return tracking_uid(self.report.sources[0], structure)

    def device_uid(self) -> str:
        """Give the UID of this software with these models: another model is another device (IHE AIR 6.5.3.1)."""
        return uid("device", software_version(), self.report.model.digest, *self._biomarker())

    def _biomarker(self) -> tuple[str, ...]:
        """Give the digest of the biomarker model, if there is one."""
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
        """Give the arguments that every highdicom constructor takes."""
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
        """Replace times from highdicom's clock and its random UIDs by those of the result."""
        for name in ("InstanceCreation", "Content", "Series"):
            setattr(dataset, f"{name}Date", DA(self.now.date()))
            setattr(dataset, f"{name}Time", TM(self.now.time()))
        if "DateOfSecondaryCapture" in dataset:
            dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = DA(self.now.date()), TM(self.now.time())
        scanner = self.report.sources[0].get("Manufacturer")
        for item in (e for e in dataset.ContributingEquipmentSequence if e.Manufacturer != scanner):
            item.ContributionDateTime = DT(self.now)  # that of the scanner keeps its time
        organisation = self.uid("dimensions")
        for name in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
            for item in dataset.get(name, ()):
                item.DimensionOrganizationUID = organisation
        dataset.TimezoneOffsetFromUTC = self.now.strftime("%z") or "+0000"
        self._drop_empty_sequences(dataset)

    def _drop_empty_sequences(self, dataset: Dataset) -> None:
        """Remove optional sequences that the scanner wrote empty and highdicom copied (PS3.5 7.4.5)."""
        for element in list(self.report.sources[0]):
            if element.VR == "SQ" and not element.value and element.tag in dataset and not dataset[element.tag].value:
                del dataset[element.tag]
