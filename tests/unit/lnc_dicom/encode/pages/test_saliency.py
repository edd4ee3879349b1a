from dataclasses import replace

from lnc_dicom.encode import encode
from lnc_dicom.encode.pages.saliency import saliency_overlay
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.outputs import DEFAULT_OUTPUTS
from lnc_dicom.predictions import Target
from tests.factories import NOW


def test_it_is_an_rgb_capture_that_says_what_it_is(everything):
    found = everything.datasets["saliency.dcm"]
    assert found.SOPClassUID.name == "Secondary Capture Image Storage"
    assert (found.Rows, found.Columns, found.PhotometricInterpretation) == (1024, 1024, "RGB")
    assert found.ImageType[:2] == ["DERIVED", "SECONDARY"]
    assert "Grad-CAM" in found.DerivationDescription
    assert found.SeriesDescription == "DEMONSTRATION: saliency of predictions (RESEARCH)"
    assert found.BurnedInAnnotation == "NO"


def test_disease_of_a_demonstration_model_is_not_explained(everything):
    assert list(everything.report.biomarker.saliency) == [Target.FA, Target.CBF, Target.STEMS]


def test_without_saliency_there_is_no_object(everything):
    report = everything.report
    for other in (replace(report, biomarker=None), replace(report, biomarker=replace(report.biomarker, saliency={}))):
        assert saliency_overlay(other, Provenance(other, NOW)) == []
        assert "saliency.dcm" not in [o.name for o in encode(other, NOW, DEFAULT_OUTPUTS)]
