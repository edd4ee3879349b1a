import math

import pytest

from lnc_dicom.predictions import BiomarkerResult, Demographics, Model


@pytest.mark.parametrize(("age", "male", "known"), [(60.0, 1.0, True), (60.0, math.nan, False), (math.nan, 0.0, False)])
def test_demographics_are_known_only_if_both_age_and_sex_are(age, male, known):
    assert Demographics(age, male).is_known is known


def _result(*, age_and_sex_known=True, distance=1.0):
    return BiomarkerResult(
        model=Model("m", "1", ""),
        demonstration=True,
        age_and_sex_known=age_and_sex_known,
        regions=(),
        stems=(),
        distance=distance,
        farthest=2.0,
        disease={},
    )


def test_the_basis_of_predictions_names_age_and_sex_only_where_they_were_known():
    assert _result().basis == "T1, age and sex"
    assert _result(age_and_sex_known=False).basis == "T1"


@pytest.mark.parametrize(("distance", "familiar"), [(2.0, True), (2.01, False)])
def test_a_head_is_familiar_up_to_the_farthest_patient_of_the_calibration(distance, familiar):
    assert _result(distance=distance).familiar is familiar
