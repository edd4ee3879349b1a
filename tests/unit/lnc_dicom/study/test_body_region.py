import pytest
from pydicom import Dataset

from lnc_dicom.study.body_region import Region, region_of

ON_HEADS = (
    *("", "HEAD", "BRAIN", "SKULL", "HEAD_NECK", "HEAD AND NECK", "HEADNECK", "TETE", "TÊTE", "KOPF", "SCHAEDEL"),
    *("CABEZA", "CEREBRO", "CERVEAU", "CRANE", "CRANIUM", "UNKNOWN", "ORBIT", "BRAINSTEM", "WHOLEBODY", "BRAIN/HEAD"),
    *("NEURO", "HOOFD", "ENCEFALO", "ENCEPHALE", "HJERNE", "GLOWA", "头", "NECK", "IAC", "FACE", "CEREBELLUM", "OTHER"),
)
ELSEWHERE = (
    *("CSPINE", "TSPINE", "LSPINE", "LUMBAR SPINE", "CERVICAL", "SPINE", "KNEE", "SHOULDER", "PELVIS", "ABDOMEN"),
    *("HWS", "LWS", "KNIE", "WIRBELSAEULE", "HALSWIRBELSÄULE", "RACHIS LOMBAIRE", "GENOU", "COLUMNA CERVICAL"),
    *("RODILLA", "GINOCCHIO", "JOELHO", "BREAST", "HEART", "PROSTATE", "ANKLE", "FOOT", "HIP", "ELBOW", "WRIST"),
)


def _header(**values):
    header = Dataset()
    for name, value in values.items():
        setattr(header, name, value)
    return header


def _coded(value, meaning="", scheme="SCT"):
    item = _header(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
    return _header(AnatomicRegionSequence=[item])


@pytest.mark.parametrize("part", ON_HEADS)
def test_no_body_part_that_is_written_on_heads_says_elsewhere(part):
    assert region_of(_header(BodyPartExamined=part)) is not Region.ELSEWHERE


@pytest.mark.parametrize("part", ELSEWHERE)
@pytest.mark.parametrize("name", ["BodyPartExamined", "SeriesDescription", "ProtocolName", "StudyDescription"])
def test_whichever_attribute_names_another_part_says_elsewhere(name, part):
    assert region_of(_header(**{name: part})) is Region.ELSEWHERE


@pytest.mark.parametrize(
    "text", ["T1 TSE SAG C-SPINE", "t1_tse_sag_hws", "T1 SAG LWS", "SAG T1 CERVICAL", "Neuro^Spine"]
)
def test_descriptions_of_the_spine_say_elsewhere(text):
    assert region_of(_header(SeriesDescription=text, BodyPartExamined="")) is Region.ELSEWHERE


@pytest.mark.parametrize(
    ("coded", "expected"),
    [
        (_coded("T-11501", scheme="SRT"), Region.ELSEWHERE),
        (_coded("122494005"), Region.ELSEWHERE),
        (_coded("72696002", "Knie"), Region.ELSEWHERE),
        (_coded("T-A0100", "Brain", "SRT"), Region.HEAD),
        (_coded("12738006"), Region.HEAD),
        (_coded("", "Optic canal"), Region.UNKNOWN),
    ],
)
def test_coded_regions_count_too(coded, expected):
    assert region_of(coded) is expected


def test_a_coded_region_of_the_frames_counts_too():
    frames = _header(SharedFunctionalGroupsSequence=[_header(FrameAnatomySequence=[_coded("122494005")])])
    assert region_of(frames) is Region.ELSEWHERE


def test_a_head_that_another_attribute_contradicts_is_in_doubt():
    contradicted = _header(SeriesDescription="T1 brain", BodyPartExamined="CSPINE")
    assert region_of(contradicted) is Region.DOUBTFUL
    assert region_of(_header(StudyDescription="MRI BRAIN AND CERVICAL SPINE")) is Region.DOUBTFUL


def test_the_description_of_the_series_decides_before_the_body_part():
    assert region_of(_header(SeriesDescription="T1 SAG C-SPINE", BodyPartExamined="BRAIN")) is Region.ELSEWHERE
