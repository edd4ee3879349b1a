"""Who made an object, when, and under which UIDs: the same for every object of a result.

UIDs are derived from what went in (images, model, software version, time), so the same input gives the same
objects, byte for byte, and a retry never makes a second one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from highdicom import ContentQualificationValues, ContributingEquipment
from pydicom import Dataset
from pydicom.valuerep import DA, DT, TM

from lnc_dicom.codes import PROCESSING_EQUIPMENT
from lnc_dicom.types import Report

MANUFACTURER = "lnc-dicom"
DEVICE_SERIAL_NUMBER = "research"
_NAMESPACE = uuid.UUID("9a0d4d1c-6f3e-4d0e-9f43-5d0d3b7a7c11")


def software_version() -> str:
    """Version of this package."""
    return version("lnc-dicom")


@dataclass(frozen=True, slots=True)
class Origin:
    """Source of UIDs and provenance for the objects of one result."""

    report: Report
    now: datetime

    def uid(self, role: str) -> str:
        """UID for a role ("series/seg", "seg", ...): 2.25 and a UUID (PS3.5 B.2)."""
        model = self.report.model
        inputs = sorted(str(d.SOPInstanceUID) for d in self.report.sources)
        made_with = (model.name, model.version, model.digest, *self._biomarker(), software_version())
        return _uid(role, *inputs, *made_with, self.now.isoformat())

    def tracking_uid(self, structure: str) -> str:
        """UID that follows a structure of a patient through time points."""
        source = self.report.sources[0]
        patient = (str(source.get("PatientID", "")), str(source.get("IssuerOfPatientID", "")))
        study = () if patient[0] else (self.report.study.uid,)
        return _uid("tracking", *patient, *study, structure)

    def device_uid(self) -> str:
        """UID of this software with this model: another model is another device (IHE AIR 6.5.3.1)."""
        return _uid("device", software_version(), self.report.model.digest, *self._biomarker())

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
            "series_instance_uid": self.uid(f"series/{role}"),
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


def _uid(*parts: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(parts)).int}"
