from lnc_dicom.outputs import DEFAULT_OUTPUTS, FILES, FILES_OF, PREDICTED, Output, default_outputs, files_for, union


def test_every_kind_that_is_sent_has_files_of_its_own():
    assert set(FILES_OF) == set(Output) - {Output.FHIR}
    assert len(FILES) == len(set(FILES))


def test_the_default_is_what_most_viewers_show():
    assert [k.value for k in DEFAULT_OUTPUTS] == ["seg", "sr", "summary", "biomarker", "saliency"]


def test_a_destination_gets_of_the_written_files_only_its_own():
    written = ["labelmap.dcm", "segmentation.dcm", "summary.dcm", "summary-2.dcm", "report.dcm"]
    assert files_for([Output.SUMMARY, Output.SEG, Output.PDF], written) == [
        "segmentation.dcm",
        "summary.dcm",
        "summary-2.dcm",
    ]
    assert files_for([Output.FHIR], written) == []


def test_predictions_of_a_demonstration_model_are_no_default():
    assert not PREDICTED & set(default_outputs(demonstration=True))
    assert default_outputs(demonstration=False) == DEFAULT_OUTPUTS


def test_the_map_of_saliency_is_for_those_who_want_maps_and_saliency():
    written = ["map-saliency.dcm", "map-fa.dcm"]
    assert files_for([Output.MAP], written) == ["map-fa.dcm"]
    assert files_for([Output.MAP, Output.SALIENCY], written) == written


def test_the_union_of_choices_has_everything_once():
    assert union([(Output.TEXT, Output.SEG), (Output.SEG, Output.PDF)]) == (Output.SEG, Output.TEXT, Output.PDF)
