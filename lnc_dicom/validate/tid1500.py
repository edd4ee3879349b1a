"""The rows of the templates that we write (PS3.16 Annex A).

TID 300, 310, 1002, 1004, 1410, 1411, 1419, 1500, 1501, 1502, 1600 and 4019.

Templates are extensible: rows for other items are open (any concept of that value type and relationship).
"""

from __future__ import annotations

from dataclasses import replace

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lnc_dicom.validate.content_tree import Key, key
from lnc_dicom.validate.template_rows import TemplateRow, context_group, row_for

CONTAINS, CONTEXT, MODIFIER = "CONTAINS", "HAS OBS CONTEXT", "HAS CONCEPT MOD"
PROPERTY, INFERRED, SELECTED, ACQUISITION = "HAS PROPERTIES", "INFERRED FROM", "SELECTED FROM", "HAS ACQ CONTEXT"

REPORT_TITLES = context_group(7021)
IMAGING_MEASUREMENTS = codes.DCM.ImagingMeasurements
MEASUREMENT_GROUP = codes.DCM.MeasurementGroup
TRACKING_UID = codes.DCM.TrackingUniqueIdentifier
FINDING = codes.DCM.Finding
REFERENCED_SEGMENT = codes.DCM.ReferencedSegment
SEGMENTATION_FRAME = Code("121214", "DCM", "Referenced Segmentation Frame")
IMAGE_REGION = codes.DCM.ImageRegion
VOLUME_SURFACE = codes.DCM.VolumeSurface
SOURCE_IMAGE = Code("121233", "DCM", "Source image for segmentation")
SOURCE_SERIES = codes.DCM.SourceSeriesForSegmentation
DEVICE_UID = codes.DCM.DeviceObserverUID
METHOD = codes.SCT.MeasurementMethod
DERIVATION = codes.DCM.Derivation
UNCERTAINTIES = context_group(225)

CATEGORIES = context_group(7150) | {("123037004", "SCT")}
"""CID 7150, and the code that dcmqi and Slicer write for an anatomical structure."""


def _coded(row: TemplateRow, number: int, more: frozenset[Key] = frozenset()) -> TemplateRow:
    return replace(row, values=context_group(number) | more, values_name=f"CID {number}")


_SITE = replace(
    row_for(codes.SCT.FindingSite, "CODE", MODIFIER, maximum=None),
    children=(
        _coded(row_for(codes.SCT.Laterality, "CODE", MODIFIER), 244),
        row_for(codes.SCT.TopographicalModifier, "CODE", MODIFIER),
    ),
)
_ALGORITHM = (  # TID 4019; `sr` checks that name and version go together
    row_for(codes.DCM.AlgorithmName, "TEXT", MODIFIER, maximum=None),
    row_for(codes.DCM.AlgorithmVersion, "TEXT", MODIFIER, maximum=None),
    row_for(codes.DCM.AlgorithmParameters, "TEXT", MODIFIER, maximum=None),
    _coded(row_for(codes.DCM.AlgorithmFamily, "CODE", MODIFIER), 7162),
    row_for(Code("122405", "DCM", "Algorithm Manufacturer"), "TEXT", MODIFIER),
)
_FROM_IMAGE = TemplateRow("image that a region is selected from", "IMAGE", SELECTED, minimum=1)
_MEASUREMENT = (  # TID 300 in TID 1419 row 5
    row_for(METHOD, "CODE", MODIFIER),
    _coded(row_for(DERIVATION, "CODE", MODIFIER), 7464),
    _SITE,
    *_ALGORITHM,
    TemplateRow("uncertainty", "NUM", PROPERTY, UNCERTAINTIES, maximum=None),
    _coded(row_for(codes.DCM.Normality, "CODE", PROPERTY), 222),
    TemplateRow("region", "SCOORD", INFERRED, maximum=None, children=(_FROM_IMAGE,)),
    TemplateRow("region in space", "SCOORD3D", INFERRED, maximum=None),
    TemplateRow("number", "NUM", INFERRED, maximum=None),
    TemplateRow("image", "IMAGE", INFERRED, maximum=None),
    TemplateRow("reference", "COMPOSITE", INFERRED, maximum=None),
    TemplateRow("equation", "CODE", INFERRED, maximum=None),
    TemplateRow("equation", "TEXT", INFERRED, maximum=None),
    TemplateRow("property", "NUM", PROPERTY, maximum=None),
    TemplateRow("property", "CODE", PROPERTY, maximum=None),
    TemplateRow("property", "TEXT", PROPERTY, maximum=None),
    TemplateRow("modifier", "CODE", MODIFIER, maximum=None),
)
_EVALUATION = (
    TemplateRow("comment", "TEXT", PROPERTY, maximum=None),
    TemplateRow("property", "CODE", PROPERTY, maximum=None),
    TemplateRow("modifier", "CODE", MODIFIER, maximum=None),
    TemplateRow("region", "SCOORD", INFERRED, maximum=None, children=(_FROM_IMAGE,)),
    TemplateRow("number", "NUM", INFERRED, maximum=None),
    TemplateRow("image", "IMAGE", INFERRED, maximum=None),
)
_TIME_POINT = (  # TID 1502
    row_for(Code("C2348792", "UMLS", "Time Point"), "TEXT", CONTEXT),
    row_for(Code("126070", "DCM", "Subject Time Point Identifier"), "TEXT", CONTEXT),
    row_for(Code("126071", "DCM", "Protocol Time Point Identifier"), "TEXT", CONTEXT),
    row_for(Code("126072", "DCM", "Time Point Type"), "CODE", CONTEXT),
    row_for(Code("126073", "DCM", "Time Point Order"), "NUM", CONTEXT),
)
_GROUP_START = (
    row_for(Code("C67447", "NCIt", "Activity Session"), "TEXT", CONTEXT),
    row_for(codes.DCM.TrackingIdentifier, "TEXT", CONTEXT, minimum=1),
    row_for(TRACKING_UID, "UIDREF", CONTEXT, minimum=1),
    replace(
        row_for(Code("276214006", "SCT", "Finding category"), "CODE", CONTAINS),
        values=CATEGORIES,
        values_name="CID 7150",
    ),
    row_for(FINDING, "CODE", CONTAINS),
    *_TIME_POINT,
    row_for(METHOD, "CODE", MODIFIER),
    _SITE,
    *_ALGORITHM,
    row_for(Code("126100", "DCM", "Real World Value Map used for measurement"), "COMPOSITE", CONTAINS, maximum=None),
    row_for(Code("130401", "DCM", "Visual explanation"), "IMAGE", CONTAINS, maximum=None),
)
_GROUP_END = (
    replace(_coded(row_for(codes.DCM.QualityAssessment, "CODE", CONTAINS), 6044), children=_EVALUATION),
    TemplateRow("measurement", "NUM", CONTAINS, maximum=None, children=_MEASUREMENT),
    TemplateRow("qualitative evaluation", "CODE", CONTAINS, maximum=None, children=_EVALUATION),
    TemplateRow("qualitative evaluation in words", "TEXT", CONTAINS, maximum=None),
)
_SOURCE = (
    row_for(SOURCE_IMAGE, "IMAGE", CONTAINS, maximum=None),
    row_for(SOURCE_SERIES, "UIDREF", CONTAINS),
)
_REGION_2D = replace(row_for(IMAGE_REGION, "SCOORD", CONTAINS, maximum=None), children=(_FROM_IMAGE,))
_REGION_3D = row_for(IMAGE_REGION, "SCOORD3D", CONTAINS)

GROUPS: dict[str, tuple[TemplateRow, ...]] = {
    "1410": (
        *_GROUP_START,
        replace(_REGION_2D, maximum=1),
        _REGION_3D,
        row_for(REFERENCED_SEGMENT, "IMAGE", CONTAINS),
        row_for(SEGMENTATION_FRAME, "IMAGE", CONTAINS),
        *_SOURCE,
        *_GROUP_END,
    ),
    "1411": (
        *_GROUP_START,
        _REGION_2D,
        _REGION_3D,
        row_for(REFERENCED_SEGMENT, "IMAGE", CONTAINS),
        row_for(VOLUME_SURFACE, "SCOORD3D", CONTAINS),
        *_SOURCE,
        *_GROUP_END,
    ),
    "1501": (
        *_GROUP_START,
        TemplateRow("image", "IMAGE", CONTAINS, maximum=None),
        TemplateRow("object", "COMPOSITE", CONTAINS, maximum=None),
        *_GROUP_END,
    ),
}
"""Rows of a measurement group, by template."""

REGIONS: dict[str, tuple[tuple[str, Code], ...]] = {
    "1410": (
        ("SCOORD", IMAGE_REGION),
        ("SCOORD3D", IMAGE_REGION),
        ("IMAGE", SEGMENTATION_FRAME),
        ("IMAGE", REFERENCED_SEGMENT),
    ),
    "1411": (
        ("SCOORD", IMAGE_REGION),
        ("SCOORD3D", IMAGE_REGION),
        ("IMAGE", REFERENCED_SEGMENT),
        ("SCOORD3D", VOLUME_SURFACE),
    ),
}
"""Kinds of regions, by template; a group has exactly one of them (conditions of TID 1410 and 1411)."""

_LIBRARY = (  # TID 1600, 1602
    replace(
        TemplateRow("library group", "CONTAINER", CONTAINS, frozenset({("126200", "DCM")}), minimum=1, maximum=None),
        children=(
            TemplateRow("image", "IMAGE", CONTAINS, maximum=None),
            TemplateRow("descriptor", "CODE", ACQUISITION, maximum=None),
            TemplateRow("descriptor", "TEXT", ACQUISITION, maximum=None),
            TemplateRow("descriptor", "NUM", ACQUISITION, maximum=None),
            TemplateRow("descriptor", "UIDREF", ACQUISITION, maximum=None),
            TemplateRow("descriptor", "DATE", ACQUISITION, maximum=None),
            TemplateRow("descriptor", "TIME", ACQUISITION, maximum=None),
        ),
    ),
)
ROOT = (  # TID 1500, with TID 1204, 1001, 1002 and 1004
    row_for(Code("121049", "DCM", "Language of Content Item and Descendants"), "CODE", MODIFIER, minimum=1),
    _coded(row_for(codes.DCM.ObserverType, "CODE", CONTEXT, maximum=None), 270),
    row_for(DEVICE_UID, "UIDREF", CONTEXT, minimum=1, maximum=None),
    TemplateRow("observer", "TEXT", CONTEXT, maximum=None),
    TemplateRow("observer", "PNAME", CONTEXT, maximum=None),
    TemplateRow("observer", "UIDREF", CONTEXT, maximum=None),
    TemplateRow("observer", "CODE", CONTEXT, maximum=None),
    row_for(codes.DCM.ProcedureReported, "CODE", MODIFIER, minimum=1, maximum=None),
    replace(row_for(codes.DCM.ImageLibrary, "CONTAINER", CONTAINS), children=_LIBRARY),
    row_for(IMAGING_MEASUREMENTS, "CONTAINER", CONTAINS),
    TemplateRow("derived measurements or evaluations", "CONTAINER", CONTAINS, maximum=None),
)
"""Rows of the root."""

UNITS: dict[Key, frozenset[str]] = {
    ("118565006", "SCT"): frozenset({"mm3", "cm3", "ml", "mL", "dm3", "l"}),
    ("YEKZ", "IBSI"): frozenset({"mm3", "cm3"}),
    ("110808", "DCM"): frozenset({"1"}),
    ("126390", "DCM"): frozenset({"ml/[100]g/min", "ml/100g/min", "ml/min/g"}),
    ("126397", "DCM"): frozenset({"1", "%", "{ratio}"}),
    ("122157", "DCM"): frozenset({"%", "1"}),
    ("111787", "DCM"): frozenset({"1", "{ratio}"}),
    ("PRED-FA", "99LNC"): frozenset({"1"}),
    ("PRED-CBF", "99LNC"): frozenset({"ml/[100]g/min"}),
    ("PRED-STEMS", "99LNC"): frozenset({"1"}),
}
"""UCUM units that fit a concept (CID 7181 and the dimension of the quantity)."""

GROUP_NAME: Key = key(MEASUREMENT_GROUP)
MEASUREMENTS_NAME: Key = key(IMAGING_MEASUREMENTS)
