"""The summary pages → Encapsulated PDF (PS3.3 A.45.1), for archives and record systems that show documents only."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from highdicom.base import SOPClass
from highdicom.sr import CodedConcept
from PIL import Image
from pydicom import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DA, TM

from lnc_dicom.codes import MRI_HEAD_REPORT
from lnc_dicom.encode.pages.canvas import RgbImage
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.report import Report

SERIES_NUMBER = 9005
_DPI = 125.0
"""A page of 1024 pixels is 208 mm wide, as A4."""
_TITLE = "AI summary (RESEARCH)"


def encapsulated_pdf(report: Report, provenance: Provenance, pages: Sequence[RgbImage]) -> SOPClass:
    """Encode the pages as one document. No patient data is drawn on them: Burned In Annotation NO."""
    common = provenance.common("pdf", SERIES_NUMBER, "AI summary as PDF (RESEARCH)")
    equipment = common.pop("contributing_equipment")
    source = report.sources[0]
    document = SOPClass(
        study_instance_uid=source.StudyInstanceUID,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **_patient(source),
        **common,
    )
    document.copy_patient_and_study_information(source)
    document._add_contributing_equipment(equipment, source)  # noqa: SLF001 - highdicom's own classes do it so
    document.ConversionType = "WSD"
    document.BurnedInAnnotation = "NO"
    document.VerificationFlag = "UNVERIFIED"
    document.AcquisitionDateTime = None
    document.DocumentTitle = _TITLE
    document.ConceptNameCodeSequence = [CodedConcept.from_code(MRI_HEAD_REPORT)]
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.SourceInstanceSequence = [_reference(one) for one in report.sources]
    data = pdf(pages, provenance.now)
    document.EncapsulatedDocumentLength = len(data)
    document.EncapsulatedDocument = data + b"\0" * (len(data) % 2)
    document.ContentDate, document.ContentTime = DA(provenance.now.date()), TM(provenance.now.time())
    provenance.finish(document)
    return document


def pdf(pages: Sequence[RgbImage], now: datetime) -> bytes:
    """Write pages, uint8 (rows, columns, 3), as PDF; the same pages and time give the same bytes."""
    first, *others = (Image.fromarray(page) for page in pages)
    buffer, made = io.BytesIO(), now.timetuple()
    first.save(
        buffer,
        "PDF",
        save_all=True,
        append_images=others,
        resolution=_DPI,
        quality=95,
        title=_TITLE,
        producer="lnc-dicom",
        creationDate=made,
        modDate=made,
    )
    return buffer.getvalue()


def _patient(source: Dataset) -> dict[str, Any]:
    """Give the patient and study attributes that highdicom's constructor takes, as in the source."""
    names = {
        "patient_id": "PatientID",
        "patient_name": "PatientName",
        "patient_birth_date": "PatientBirthDate",
        "patient_sex": "PatientSex",
        "accession_number": "AccessionNumber",
        "study_id": "StudyID",
        "study_date": "StudyDate",
        "study_time": "StudyTime",
        "referring_physician_name": "ReferringPhysicianName",
        "specific_character_set": "SpecificCharacterSet",
    }
    return {argument: source.get(name) for argument, name in names.items()}


def _reference(source: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    return item
