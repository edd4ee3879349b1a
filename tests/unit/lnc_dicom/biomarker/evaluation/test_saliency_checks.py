from lnc_dicom.biomarker.evaluation.saliency_checks import check_explanations
from lnc_dicom.biomarker.network import BiomarkerArchitecture, BiomarkerNetwork, ready
from lnc_dicom.predictions import Target
from tests.unit.lnc_dicom.biomarker.conftest import REGIONS, make_cohort


def _checks(network, target):
    found = check_explanations(network, make_cohort(10, 9), (target,), 1, lambda _: None)
    return {v.name: v for v in found}


def test_a_trained_network_passes_every_check(trained):
    checks = _checks(trained.network, Target.FA)
    assert set(checks) == {"weights randomised", "inside the territory", "occlusion by region", "deletion"}
    assert all(v.passed for v in checks.values()), checks


def test_labels_are_randomised_for_the_disease_only(trained):
    assert "labels randomised" in _checks(trained.network, Target.DISEASE)


def test_an_untrained_network_fails_a_check():
    checks = _checks(ready(BiomarkerNetwork(BiomarkerArchitecture(REGIONS, 3))), Target.FA)
    assert not all(v.passed for v in checks.values())
