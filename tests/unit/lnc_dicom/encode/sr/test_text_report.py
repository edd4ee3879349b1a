import subprocess

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.report import BANNER


def _items(item):
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _items(child)


def test_its_title_makes_viewers_show_it_as_text(everything):
    document = everything.datasets["report.dcm"]
    assert document.SOPClassUID.name == "Enhanced SR Storage"
    assert document.ConceptNameCodeSequence[0].CodeValue != "126000"
    assert document.ContinuityOfContent == "SEPARATE"
    containers = [i for i in _items(document) if i.ValueType == "CONTAINER"]
    assert [c.ConceptNameCodeSequence[0].CodeMeaning for c in containers] == ["Summary", "Findings"]
    assert {c.ContinuityOfContent for c in containers} == {"SEPARATE"}


def test_every_structure_has_a_sentence_with_its_numbers_and_nothing_is_predicted(everything):
    document = everything.datasets["report.dcm"]
    texts = [i.TextValue for i in _items(document) if i.ValueType == "TEXT"]
    for measurement in everything.report.measurements:
        (sentence,) = [t for t in texts if t.startswith(f"{measurement.structure.title}: volume")]
        assert f"{measurement.volume_ml:.2f} mL (90 % interval" in sentence
        assert "FA 0.40, CBF 30 ml/100 g/min" in sentence
    assert not any("predict" in t for t in texts)
    assert any(BANNER in t for t in texts)


def test_it_names_the_source_series_and_no_image(everything):
    document = everything.datasets["report.dcm"]
    assert not [i for i in _items(document) if i.ValueType == "IMAGE"]
    uids = [i.UID for i in _items(document) if i.ValueType == "UIDREF"]
    assert everything.report.sources[0].SeriesInstanceUID in uids


def test_it_is_neither_final_nor_verified(everything):
    document = everything.datasets["report.dcm"]
    assert (document.PreliminaryFlag, document.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert BANNER in document.CompletionFlagDescription


def test_dcmtk_shows_it_with_the_names_of_the_items(everything, program, tmp_path):
    (tmp_path / "in.dcm").write_bytes(everything.data["report.dcm"])
    done = subprocess.run([program("dsr2html"), tmp_path / "in.dcm"], capture_output=True, text=True, check=True)
    for structure in STRUCTURES:
        assert f"{structure.title}: volume" in done.stdout
    assert done.stdout.count("<b>Finding:</b>") == len(STRUCTURES)
