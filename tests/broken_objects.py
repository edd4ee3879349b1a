"""A SEG and an SR as we write them → a broken copy for every rule, and the validators that must find the fault."""

from __future__ import annotations

import copy
import io

import pydicom

from lnc_dicom.pipeline import process
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from lnc_dicom.validate.sr import groups
from tests.factories import NOW, BoxSegmenter, head, write_series


def written(folder):
    """Segmentation and report of a small head, by file name."""
    write_series(folder, *head((80, 72, 90), (1.9, 1.9, 1.9)))
    _, objects = process(read_study([folder]), Tools(BoxSegmenter(), NOW))
    return {o.name: pydicom.dcmread(io.BytesIO(o.data)) for o in objects}


def group(sr, number=0):
    return list(groups(sr))[number][1]


def child(item, code):
    return next(c for c in item.ContentSequence if c.ConceptNameCodeSequence[0].CodeValue == code)


def _without(item, code):
    item.ContentSequence = [c for c in item.ContentSequence if c.ConceptNameCodeSequence[0].CodeValue != code]


def _unit(item):
    return item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]


def no_segment_label(seg):
    del seg.SegmentSequence[0].SegmentLabel


def no_content_label(seg):
    del seg.ContentLabel


def wrong_vr(seg):
    seg[0x00620002].value[0][0x00620005].VR = "SH"


def numbers_out_of_order(seg):
    seg.SegmentSequence[1].SegmentNumber = 5


def frame_of_no_segment(seg):
    seg.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 77


def category_outside_its_group(seg):
    seg.SegmentSequence[0].SegmentedPropertyCategoryCodeSequence[0].CodeValue = "12738006"


def side_outside_its_group(seg):
    kind = seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue = "12738006"


def half_a_tracking(seg):
    del seg.SegmentSequence[0].TrackingUID


def no_source_series(seg):
    del seg.ReferencedSeriesSequence


def a_frame_too_many(seg):
    seg.NumberOfFrames += 1


def no_tracking_uid(sr):
    _without(group(sr), "112040")


def no_tracking_identifier(sr):
    _without(group(sr), "112039")


def two_volumes(sr):
    group(sr).ContentSequence.append(copy.deepcopy(child(group(sr), "118565006")))


def two_findings(sr):
    group(sr).ContentSequence.append(copy.deepcopy(child(group(sr), "121071")))


def finding_category_outside_its_group(sr):
    child(group(sr), "276214006").ConceptCodeSequence[0].CodeValue = "12738006"


def report_side_outside_its_group(sr):
    child(child(group(sr), "363698007"), "272741003").ConceptCodeSequence[0].CodeValue = "12738006"


def quality_outside_its_group(sr):
    child(group(sr), "111050").ConceptCodeSequence[0].CodeValue = "111241"


def wrong_relationship(sr):
    child(group(sr), "363698007").RelationshipType = "HAS OBS CONTEXT"


def contained_method(sr):
    child(group(sr), "370129005").RelationshipType = "CONTAINS"


def relationship_of_no_row(sr):
    child(group(sr), "118565006").RelationshipType = "HAS PROPERTIES"


def wrong_value_type(sr):
    item = child(group(sr), "112039")
    item.ValueType, item.UID = "UIDREF", "1.2.3"


def volume_in_millimetres(sr):
    _unit(child(group(sr), "118565006")).CodeValue = "mm"


def uncertainty_in_another_unit(sr):
    _unit(child(child(group(sr), "118565006"), "371886008")).CodeValue = "1"


def unit_of_no_ucum(sr):
    _unit(child(group(sr), "118565006")).CodingSchemeDesignator = "99LNC"


def dangling_segment(sr):
    child(group(sr), "121191").ReferencedSOPSequence[0].ReferencedSegmentNumber = 99


def another_segment(sr):
    child(group(sr), "121191").ReferencedSOPSequence[0].ReferencedSegmentNumber = 2


def no_region(sr):
    _without(group(sr), "121191")


def segment_without_source(sr):
    _without(group(sr), "121232")


def evidence_not_listed(sr):
    child(group(sr), "121191").ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def code_that_does_not_exist(sr):
    code = child(group(sr), "121191").ConceptNameCodeSequence[0]
    code.CodeValue = "999999"


def algorithm_without_version(sr):
    _without(group(sr), "111003")


def another_device(sr):
    child(sr, "121012").UID = "1.2.3"


def group_of_no_template(sr):
    del group(sr).ContentTemplateSequence


def flag_that_is_none(sr):
    sr.CompletionFlag = "MAYBE"


def no_content_date(sr):
    del sr.ContentDate


def text_without_value(sr):
    del child(group(sr), "112039").TextValue


def not_marked_as_research(sr):
    sr.ContentQualification = "PRODUCT"


OWN, IODS, DUMP, SEG_READER, SR_READER = "lnc-dicom", "dciodvfy", "dsrdump", "segimage2itkimage", "tid1500reader"

BROKEN_SEG = (
    # fault, part of the message of our own check ("" if it does not check this), outside validators that find it
    (no_segment_label, "SegmentLabel is missing", (IODS, SEG_READER)),
    (no_content_label, "", (IODS, SEG_READER)),
    (wrong_vr, "SegmentLabel has the VR SH", (IODS, SEG_READER)),
    (numbers_out_of_order, "do not count from 1", (IODS, SEG_READER)),
    (frame_of_no_segment, "a segment that is not described", (IODS, SEG_READER)),
    (category_outside_its_group, "not in CID 7150", ()),
    (side_outside_its_group, "not in CID 244", ()),
    (half_a_tracking, "without the other", (IODS,)),
    (no_source_series, "no Referenced Series Sequence", (IODS,)),
    (a_frame_too_many, "not as many functional groups as frames", (IODS, SEG_READER)),
)
BROKEN_SR = (
    (no_tracking_uid, "Tracking Unique Identifier is missing", ()),
    (no_tracking_identifier, "Tracking Identifier is missing", ()),
    (two_volumes, "the same measurement occurs twice", ()),
    (two_findings, "Finding occurs 2 times", ()),
    (finding_category_outside_its_group, "not in CID 7150", ()),
    (report_side_outside_its_group, "not in CID 244", ()),
    (quality_outside_its_group, "not in CID 6044", ()),
    (wrong_relationship, "HAS OBS CONTEXT, not HAS CONCEPT MOD", ()),
    (contained_method, "CONTAINS, not HAS CONCEPT MOD", ()),
    (relationship_of_no_row, "no row for NUM", (DUMP, SR_READER)),
    (wrong_value_type, "is UIDREF, not TEXT", (IODS,)),
    (volume_in_millimetres, "the unit does not fit", ()),
    (uncertainty_in_another_unit, "in another unit than its number", ()),
    (unit_of_no_ucum, "without a unit in UCUM", (IODS,)),
    (dangling_segment, "is not in the segmentation", ()),
    (another_segment, "different tracking UIDs", ()),
    (no_region, "the group has no region", ()),
    (segment_without_source, "a segment without the images", ()),
    (evidence_not_listed, "not listed as evidence", (IODS,)),
    (code_that_does_not_exist, "PS3.16 Annex D does not have", ()),
    (algorithm_without_version, "without name or without version", (SR_READER,)),
    (another_device, "not in Contributing Equipment", ()),
    (group_of_no_template, "names none of the templates", ()),
    (flag_that_is_none, "", (IODS, DUMP, SR_READER)),
    (no_content_date, "", (IODS, DUMP, SR_READER)),
    (text_without_value, "has no value", (IODS, DUMP, SR_READER)),
    (not_marked_as_research, "Content Qualification is not RESEARCH", ()),
)
