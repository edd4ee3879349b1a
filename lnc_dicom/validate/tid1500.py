"""The rows of the templates that we write (PS3.16 Annex A).

TID 300, 310, 1002, 1004, 1410, 1411, 1419, 1500, 1501, 1502, 1600 and 4019.

Templates are extensible: rows of other items are open (any concept of that value type and relationship).
"""

from __future__ import annotations

from dataclasses import replace

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lnc_dicom.validate.content_tree import Key, key
from lnc_dicom.validate.template_rows import Row, context_group, named

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


def _coded(row: Row, number: int, more: frozenset[Key] = frozenset()) -> Row:
    return replace(row, values=context_group(number) | more, group=f"CID {number}")


_SITE = replace(
    named(codes.SCT.FindingSite, "CODE", MODIFIER, most=None),
    rows=(
        _coded(named(codes.SCT.Laterality, "CODE", MODIFIER), 244),
        named(codes.SCT.TopographicalModifier, "CODE", MODIFIER),
    ),
)
_ALGORITHM = (  # TID 4019; name and version together, held by `groups`
    named(codes.DCM.AlgorithmName, "TEXT", MODIFIER, most=None),
    named(codes.DCM.AlgorithmVersion, "TEXT", MODIFIER, most=None),
    named(codes.DCM.AlgorithmParameters, "TEXT", MODIFIER, most=None),
    _coded(named(codes.DCM.AlgorithmFamily, "CODE", MODIFIER), 7162),
    named(Code("122405", "DCM", "Algorithm Manufacturer"), "TEXT", MODIFIER),
)
_FROM_IMAGE = Row("image that a region is selected from", "IMAGE", SELECTED, least=1)
_MEASUREMENT = (  # TID 300 in TID 1419 row 5
    named(METHOD, "CODE", MODIFIER),
    _coded(named(DERIVATION, "CODE", MODIFIER), 7464),
    _SITE,
    *_ALGORITHM,
    Row("uncertainty", "NUM", PROPERTY, UNCERTAINTIES, most=None),
    _coded(named(codes.DCM.Normality, "CODE", PROPERTY), 222),
    Row("region", "SCOORD", INFERRED, most=None, rows=(_FROM_IMAGE,)),
    Row("region in space", "SCOORD3D", INFERRED, most=None),
    Row("number", "NUM", INFERRED, most=None),
    Row("image", "IMAGE", INFERRED, most=None),
    Row("reference", "COMPOSITE", INFERRED, most=None),
    Row("equation", "CODE", INFERRED, most=None),
    Row("equation", "TEXT", INFERRED, most=None),
    Row("property", "NUM", PROPERTY, most=None),
    Row("property", "CODE", PROPERTY, most=None),
    Row("property", "TEXT", PROPERTY, most=None),
    Row("modifier", "CODE", MODIFIER, most=None),
)
_EVALUATION = (
    Row("comment", "TEXT", PROPERTY, most=None),
    Row("property", "CODE", PROPERTY, most=None),
    Row("modifier", "CODE", MODIFIER, most=None),
    Row("region", "SCOORD", INFERRED, most=None, rows=(_FROM_IMAGE,)),
    Row("number", "NUM", INFERRED, most=None),
    Row("image", "IMAGE", INFERRED, most=None),
)
_TIME_POINT = (  # TID 1502
    named(Code("C2348792", "UMLS", "Time Point"), "TEXT", CONTEXT),
    named(Code("126070", "DCM", "Subject Time Point Identifier"), "TEXT", CONTEXT),
    named(Code("126071", "DCM", "Protocol Time Point Identifier"), "TEXT", CONTEXT),
    named(Code("126072", "DCM", "Time Point Type"), "CODE", CONTEXT),
    named(Code("126073", "DCM", "Time Point Order"), "NUM", CONTEXT),
)
_GROUP_START = (
    named(Code("C67447", "NCIt", "Activity Session"), "TEXT", CONTEXT),
    named(codes.DCM.TrackingIdentifier, "TEXT", CONTEXT, least=1),
    named(TRACKING_UID, "UIDREF", CONTEXT, least=1),
    replace(named(Code("276214006", "SCT", "Finding category"), "CODE", CONTAINS), values=CATEGORIES, group="CID 7150"),
    named(FINDING, "CODE", CONTAINS),
    *_TIME_POINT,
    named(METHOD, "CODE", MODIFIER),
    _SITE,
    *_ALGORITHM,
    named(Code("126100", "DCM", "Real World Value Map used for measurement"), "COMPOSITE", CONTAINS, most=None),
    named(Code("130401", "DCM", "Visual explanation"), "IMAGE", CONTAINS, most=None),
)
_GROUP_END = (
    replace(_coded(named(codes.DCM.QualityAssessment, "CODE", CONTAINS), 6044), rows=_EVALUATION),
    Row("measurement", "NUM", CONTAINS, most=None, rows=_MEASUREMENT),
    Row("qualitative evaluation", "CODE", CONTAINS, most=None, rows=_EVALUATION),
    Row("qualitative evaluation in words", "TEXT", CONTAINS, most=None),
)
_SOURCE = (
    named(SOURCE_IMAGE, "IMAGE", CONTAINS, most=None),
    named(SOURCE_SERIES, "UIDREF", CONTAINS),
)
_REGION_2D = replace(named(IMAGE_REGION, "SCOORD", CONTAINS, most=None), rows=(_FROM_IMAGE,))
_REGION_3D = named(IMAGE_REGION, "SCOORD3D", CONTAINS)

GROUPS: dict[str, tuple[Row, ...]] = {
    "1410": (
        *_GROUP_START,
        replace(_REGION_2D, most=1),
        _REGION_3D,
        named(REFERENCED_SEGMENT, "IMAGE", CONTAINS),
        named(SEGMENTATION_FRAME, "IMAGE", CONTAINS),
        *_SOURCE,
        *_GROUP_END,
    ),
    "1411": (
        *_GROUP_START,
        _REGION_2D,
        _REGION_3D,
        named(REFERENCED_SEGMENT, "IMAGE", CONTAINS),
        named(VOLUME_SURFACE, "SCOORD3D", CONTAINS),
        *_SOURCE,
        *_GROUP_END,
    ),
    "1501": (
        *_GROUP_START,
        Row("image", "IMAGE", CONTAINS, most=None),
        Row("object", "COMPOSITE", CONTAINS, most=None),
        *_GROUP_END,
    ),
}
"""Rows of a measurement group by template."""

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
"""What a region may be; a group has one of them (the conditions of TID 1410 and 1411)."""

_LIBRARY = (  # TID 1600, 1602
    replace(
        Row("library group", "CONTAINER", CONTAINS, frozenset({("126200", "DCM")}), least=1, most=None),
        rows=(
            Row("image", "IMAGE", CONTAINS, most=None),
            Row("descriptor", "CODE", ACQUISITION, most=None),
            Row("descriptor", "TEXT", ACQUISITION, most=None),
            Row("descriptor", "NUM", ACQUISITION, most=None),
            Row("descriptor", "UIDREF", ACQUISITION, most=None),
            Row("descriptor", "DATE", ACQUISITION, most=None),
            Row("descriptor", "TIME", ACQUISITION, most=None),
        ),
    ),
)
ROOT = (  # TID 1500, with TID 1204, 1001, 1002 and 1004
    named(Code("121049", "DCM", "Language of Content Item and Descendants"), "CODE", MODIFIER, least=1),
    _coded(named(codes.DCM.ObserverType, "CODE", CONTEXT, most=None), 270),
    named(DEVICE_UID, "UIDREF", CONTEXT, least=1, most=None),
    Row("observer", "TEXT", CONTEXT, most=None),
    Row("observer", "PNAME", CONTEXT, most=None),
    Row("observer", "UIDREF", CONTEXT, most=None),
    Row("observer", "CODE", CONTEXT, most=None),
    named(codes.DCM.ProcedureReported, "CODE", MODIFIER, least=1, most=None),
    replace(named(codes.DCM.ImageLibrary, "CONTAINER", CONTAINS), rows=_LIBRARY),
    named(IMAGING_MEASUREMENTS, "CONTAINER", CONTAINS),
    Row("derived measurements or evaluations", "CONTAINER", CONTAINS, most=None),
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
"""Units in UCUM that fit a concept (CID 7181 and the dimension of the quantity)."""

GROUP_NAME: Key = key(MEASUREMENT_GROUP)
MEASUREMENTS_NAME: Key = key(IMAGING_MEASUREMENTS)
