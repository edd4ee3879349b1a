from lnc_dicom.outputs import DEFAULT_OUTPUTS, FILES, FILES_OF, Output, files_for, union


def test_every_kind_that_is_sent_has_files_of_its_own():
    assert set(FILES_OF) == set(Output) - {Output.FHIR}
    assert len(FILES) == len(set(FILES))


def test_the_default_is_what_most_viewers_show():
    assert [k.value for k in DEFAULT_OUTPUTS] == ["seg", "sr", "summary", "saliency"]


def test_a_destination_gets_of_the_written_files_only_its_own():
    written = ["labelmap.dcm", "segmentation.dcm", "summary.dcm", "summary-2.dcm", "report.dcm"]
    assert files_for([Output.SUMMARY, Output.SEG, Output.PDF], written) == [
        "segmentation.dcm",
        "summary.dcm",
        "summary-2.dcm",
    ]
    assert files_for([Output.FHIR], written) == []


def test_the_union_of_choices_has_everything_once():
    assert union([(Output.TEXT, Output.SEG), (Output.SEG, Output.PDF)]) == (Output.SEG, Output.TEXT, Output.PDF)
