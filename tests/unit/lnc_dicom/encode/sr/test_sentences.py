from dataclasses import replace

from lnc_dicom.encode.sr.sentences import caveat_sentences, measured_sentences
from lnc_dicom.measure.gates import MIRROR
from lnc_dicom.types import Caveat


def test_a_caveat_is_written_because_its_text_is_ours_whatever_its_code(everything):
    caveats = (Caveat("LNC-403", "file CANARY.dcm"), Caveat("LNC-999", "a new one", is_our_text=True))
    assert caveat_sentences(replace(everything.report, caveats=caveats)) == ["LNC-999 a new one"]


def test_volume_its_interval_and_the_means_of_the_maps_are_one_sentence(everything):
    measurement = replace(everything.report.measurements[0], volume_ml=3.456, interval_ml=(3.1, 3.8))
    report = replace(everything.report, measurements=(measurement,))
    (sentence,) = measured_sentences(report)
    assert sentence == "Caudate, left: volume 3.46 mL (90 % interval 3.10 to 3.80), FA 0.40, CBF 30 ml/100 g/min"


def test_a_structure_that_failed_has_its_reason_and_no_volume(everything):
    failed = replace(everything.report.measurements[0], checks=(MIRROR.check(0.1),))
    (sentence,) = measured_sentences(replace(everything.report, measurements=(failed,)))
    assert sentence.startswith(f"Caudate, left failed: {MIRROR.code}")
    assert "mL" not in sentence


def test_nothing_that_was_predicted_is_a_sentence(everything):
    sentences = [*measured_sentences(everything.report), *caveat_sentences(everything.report)]
    assert not any("predicted" in sentence or "LNC-408" in sentence for sentence in sentences)
