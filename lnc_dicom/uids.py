"""Names → UIDs: the same names give the same UID, everywhere and always (PS3.5 B.2)."""

from __future__ import annotations

import uuid

from pydicom import Dataset
from pydicom.uid import UID

LABEL_MAP_SEGMENTATION = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage, which pydicom 3.0 has no name for."""
_NAMESPACE = uuid.UUID("9a0d4d1c-6f3e-4d0e-9f43-5d0d3b7a7c11")


def uid(*parts: str) -> str:
    """Give the UID of some names, in their order: 2.25 and a UUID."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(parts)).int}"


def tracking_uid(source: Dataset, structure: str) -> str:
    """Give the UID that follows a structure of a patient through time points; without a patient ID, of a study."""
    patient = (str(source.get("PatientID") or ""), str(source.get("IssuerOfPatientID") or ""))
    study = () if patient[0] else (str(source.StudyInstanceUID),)
    return uid("tracking", *patient, *study, structure)
