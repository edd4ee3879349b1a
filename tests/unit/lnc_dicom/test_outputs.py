from lnc_dicom.outputs import DEFAULT_KINDS, FILES, FILES_OF, Kind, files_for, union


def test_every_kind_that_is_sent_has_files_of_its_own():
    assert set(FILES_OF) == set(Kind) - {Kind.FHIR}
    assert len(FILES) == len(set(FILES))


def test_the_default_is_what_most_viewers_show():
    assert [k.value for k in DEFAULT_KINDS] == ["seg", "sr", "summary", "saliency"]


def test_a_destination_gets_of_the_written_files_only_its_own():
    written = ["labelmap.dcm", "segmentation.dcm", "summary.dcm", "summary-2.dcm", "report.dcm"]
    assert files_for([Kind.SUMMARY, Kind.SEG, Kind.PDF], written) == [
        "segmentation.dcm",
        "summary.dcm",
        "summary-2.dcm",
    ]
    assert files_for([Kind.FHIR], written) == []


def test_the_union_of_choices_has_everything_once():
    assert union([(Kind.TEXT, Kind.SEG), (Kind.SEG, Kind.PDF)]) == (Kind.SEG, Kind.TEXT, Kind.PDF)
