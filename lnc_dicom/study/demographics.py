"""Header of an image → what the biomarker model is age_and_sex_known of the patient: age and sex, nothing else."""

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
    """Read age and sex at the time of the study; what is missing, or cannot be, is nan.

    Patient's Age (0010,1010), else the years from Patient's Birth Date (0010,0030) to Study Date (0008,0020).
    """
    age_and_sex_known = _AGE.fullmatch(str(header.get("PatientAge") or "").strip())
    age = int(age_and_sex_known[1]) / _PER_YEAR[age_and_sex_known[2]] if age_and_sex_known else _years_between(header)
    return Demographics(
        age if 0 <= age <= MOST_YEARS else math.nan, _SEX.get(str(header.get("PatientSex") or ""), math.nan)
    )


def _years_between(header: Dataset) -> float:
    born, studied = (_date(header.get(name)) for name in ("PatientBirthDate", "StudyDate"))
    return (studied - born).days / 365.25 if born and studied else math.nan


def _date(value: object) -> date | None:
    """Read a date of DICOM; None where it is empty or none."""
    try:
        return DA(str(value)) if value else None
    except ValueError:
        return None
