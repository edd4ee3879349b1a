"""Header of an image → age and sex of the patient, the only things that the biomarker model learns about a person."""

from __future__ import annotations

import math
import re
from datetime import date

from pydicom import Dataset
from pydicom.valuerep import DA

from lnc_dicom.predictions import Demographics

_AGE = re.compile(r"(\d{3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_SEX = {"M": 1.0, "F": 0.0}
MOST_YEARS = 120.0


def demographics_of(header: Dataset) -> Demographics:
    """Read age and sex at the time of the study; nan where missing or impossible.

    Patient's Age (0010,1010), else the years from Patient's Birth Date (0010,0030) to Study Date (0008,0020).
    """
    found = _AGE.fullmatch(str(header.get("PatientAge") or "").strip())
    age = int(found[1]) / _PER_YEAR[found[2]] if found else _years_between(header)
    return Demographics(
        age if 0 <= age <= MOST_YEARS else math.nan, _SEX.get(str(header.get("PatientSex") or ""), math.nan)
    )


def _years_between(header: Dataset) -> float:
    born, studied = (_date(header.get(name)) for name in ("PatientBirthDate", "StudyDate"))
    return (studied - born).days / 365.25 if born and studied else math.nan


def _date(value: object) -> date | None:
    """Read a DICOM date; None where it is empty or invalid."""
    try:
        return DA(str(value)) if value else None
    except ValueError:
        return None
