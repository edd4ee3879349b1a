from lnc_dicom.biomarker.evaluation.saliency_checks import check_explanations
from lnc_dicom.biomarker.network import Architecture, BiomarkerNetwork, ready
from lnc_dicom.predictions import Target
from tests.unit.lnc_dicom.biomarker.conftest import REGIONS, make_cohort


def _verdicts(network, answer):
    found = check_explanations(network, make_cohort(10, 9), (answer,), 1, lambda _: None)
    return {v.name: v for v in found}


def test_a_network_that_learned_passes(trained):
    verdicts = _verdicts(trained.network, Target.FA)
    assert set(verdicts) == {"weights randomised", "inside the territory", "occlusion by region", "deletion"}
    assert all(v.passed for v in verdicts.values()), verdicts


def test_labels_are_randomised_for_the_disease(trained):
    assert "labels randomised" in _verdicts(trained.network, Target.DISEASE)


def test_a_network_that_knows_nothing_fails():
    verdicts = _verdicts(ready(BiomarkerNetwork(Architecture(REGIONS, 3))), Target.FA)
    assert not all(v.passed for v in verdicts.values())
