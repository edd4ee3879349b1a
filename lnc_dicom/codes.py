"""Every coded concept and unit that is written, with how it was verified.

`verified` says of each where it was seen. tests/unit/lnc_dicom/test_codes.py asks it of every code here and resolves
all that are not local in the dictionaries of pydicom 3.0.2 (`pydicom.sr`, generated from PS3.16).
"""

from __future__ import annotations

from pydicom.sr.coding import Code

from lnc_dicom.anatomy import Side

STRUCTURE = {
    "caudate": Code("11000004", "SCT", "Caudate Nucleus"),
    "putamen": Code("89278009", "SCT", "Putamen"),
    "pallidum": Code("14738005", "SCT", "Globus Pallidus"),
    "thalamus": Code("42695009", "SCT", "Thalamus"),
    "accumbens": Code("427667007", "SCT", "Nucleus Accumbens"),
    "lateral ventricle": Code("66720007", "SCT", "Lateral Ventricle"),
    "internal capsule": Code("85637007", "SCT", "internal capsule"),
}
"""Structures; the side is a modifier (post-coordination), never part of the code."""

LATERALITY = {
    Side.LEFT: Code("7771000", "SCT", "Left"),
    Side.RIGHT: Code("24028007", "SCT", "Right"),
}

BILATERAL = Code("51440002", "SCT", "Bilateral")

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
BRAIN = Code("12738006", "SCT", "Brain")

VOLUME = Code("118565006", "SCT", "Volume")
SUM_OF_VOXELS = Code("126030", "DCM", "Sum of segmented voxel method for volume")
CUBIC_MILLIMETRE = Code("mm3", "UCUM", "cubic millimeter")
AREA = Code("42798000", "SCT", "Area")
SQUARE_MILLIMETRE = Code("mm2", "UCUM", "square millimeter")
MILLIMETRE = Code("mm", "UCUM", "mm")
DEGREE = Code("deg", "UCUM", "Degree")
PERCENT = Code("%", "UCUM", "Percent")

FRACTIONAL_ANISOTROPY = Code("110808", "DCM", "Fractional Anisotropy")
ABSOLUTE_BLOOD_FLOW = Code("126390", "DCM", "Absolute Regional Blood Flow")
RELATIVE_BLOOD_FLOW = Code("126397", "DCM", "Relative Regional Blood Flow")
NO_UNITS = Code("1", "UCUM", "no units")
ML_PER_100_G_AND_MINUTE = Code("ml/[100]g/min", "UCUM", "milliliter per 100 gram per minute")
CLASS_ACTIVATION = Code("130403", "DCM", "Gradient-weighted class activation")
MRI_HEAD_REPORT = Code("24590-2", "LN", "MRI Head Report")
SOURCE_SERIES = Code("121232", "DCM", "Source series for segmentation")
MEAN = Code("373098007", "SCT", "Mean")

QUALITY = Code("111050", "DCM", "Quality Assessment")
USABLE = Code("111237", "DCM", "Usable - Meets the quality control standard")
PARTLY_USABLE = Code("111236", "DCM", "Usable - Does not meet the quality control standard")
UNUSABLE = Code("111235", "DCM", "Unusable - Quality renders image unusable")

BRAIN_MRI = Code("24590-2", "LN", "Brain MRI")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
STUDY_DATE = Code("111060", "DCM", "Study Date")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")

LOCAL_SCHEME = "99LNC"
"""Ours: for what the standard has no code. The codes are never reused for something else."""
PREDICTED_FA = Code("PRED-FA", LOCAL_SCHEME, "Predicted Fractional Anisotropy")
PREDICTED_CBF = Code("PRED-CBF", LOCAL_SCHEME, "Predicted Absolute Regional Blood Flow")
PREDICTED_STEMS = Code("PRED-STEMS", LOCAL_SCHEME, "Predicted number of lenticulostriate artery stems")
PREDICTED_FROM_T1 = Code("PRED-T1", LOCAL_SCHEME, "Predicted from T1-weighted MR by a neural network")
PREDICTED_FROM_T1_AND_PERSON = Code(
    "PRED-T1-AS", LOCAL_SCHEME, "Predicted from T1-weighted MR, age and sex by a neural network"
)
PREDICTED_REPORT = Code("PRED-REPORT", LOCAL_SCHEME, "Imaging report of predicted values")
DEMONSTRATION_REPORT = Code("PRED-DEMO", LOCAL_SCHEME, "DEMONSTRATION: imaging report of predicted values")
CATEGORY_PROBABILITY = "PRED-CATEGORY"
"""Value of the codes of the disease categories; a number follows, their meaning is the site's name of the category."""
ASYMMETRY = {
    "volume": Code("ASYM-VOLUME", LOCAL_SCHEME, "Asymmetry of volume"),
    "fa": Code("ASYM-FA", LOCAL_SCHEME, "Asymmetry of Fractional Anisotropy"),
    "cbf": Code("ASYM-CBF", LOCAL_SCHEME, "Asymmetry of Absolute Regional Blood Flow"),
    "relative_cbf": Code("ASYM-RCBF", LOCAL_SCHEME, "Asymmetry of Relative Regional Blood Flow"),
}
"""By the name in result.json."""
INDEX_OF_SIDES = Code("ASYM-INDEX", LOCAL_SCHEME, "Left minus right, divided by the mean of both")
CHANGE_OF_VOLUME = Code("CHANGE-VOLUME", LOCAL_SCHEME, "Change of volume since the earlier study")
RELATIVE_CHANGE_OF_VOLUME = Code("CHANGE-PERCENT", LOCAL_SCHEME, "Relative change of volume since the earlier study")
DIFFERENCE_FROM_PRIOR = Code("CHANGE-METHOD", LOCAL_SCHEME, "Difference from the result of the earlier study")
CAVEAT = Code("CAVEAT", LOCAL_SCHEME, "Caveat")
DEMONSTRATION_MODEL = Code("LNC-408", LOCAL_SCHEME, "Demonstration model: simulated patients, no clinical meaning")
UNFAMILIAR_HEAD = Code("LNC-421", LOCAL_SCHEME, "Unlike the patients that the model learned from")
CEREBRAL_HEMISPHERE = Code("372073000", "SCT", "Cerebral hemisphere")

PYDICOM = "pydicom 3.0.2, pydicom.sr, generated from PS3.16"
OURS = "local: the standard has no code for it (docs/reference/objects.md)"
OTHERWISE_VERIFIED: dict[tuple[str, str], str] = {}
"""Codes of others that pydicom's dictionaries lack, (scheme, value): where each was seen. None is needed so far."""


def verified(code: Code) -> str:
    """Say where a code was seen."""
    if code.scheme_designator == LOCAL_SCHEME:
        return OURS
    return OTHERWISE_VERIFIED.get((code.scheme_designator, code.value), PYDICOM)
