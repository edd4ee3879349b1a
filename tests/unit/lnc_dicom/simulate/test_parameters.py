from dataclasses import fields

import numpy as np
import pytest

from lnc_dicom.simulate import parameters
from lnc_dicom.simulate.parameters import AGE_MEAN, GROUPS, LESIONS, REGION, REGIONS, STEMS
from lnc_dicom.simulate.subjects import CohortDesign, draw_people


def test_the_documented_reference_age_is_the_one_that_is_used():
    assert f"(age - {AGE_MEAN:g}) / 10" in parameters.__doc__


def test_volumes_have_their_mean_at_the_reference_age():
    people = draw_people(6000, CohortDesign(effect=0), 1)
    thalamus = REGIONS.index("thalamus")
    slope, value = np.polyfit(people.age - AGE_MEAN, np.log(people.volume[:, thalamus, 0]), 1)
    assert value == pytest.approx(0, abs=0.01)
    assert 10 * slope == pytest.approx(REGION["thalamus"].volume_decade, abs=0.005)


@pytest.mark.parametrize("name", REGIONS)
def test_the_loadings_of_a_region_explain_at_most_all_variance(name):
    r = REGION[name]
    assert r.volume_integrity**2 + r.volume_person**2 + r.volume_head**2 <= 1
    assert r.fa_age**2 + r.fa_iron**2 + r.fa_integrity**2 <= 1
    assert abs(r.cbf_integrity) <= 1


def test_every_group_has_its_parameters():
    assert {len(v) for v in (STEMS.mean, STEMS.sd)} == {len(GROUPS)}
    by_group = [getattr(LESIONS, f.name) for f in fields(LESIONS) if f.name in {"spaces", "lacunes", "caps_mm"}]
    assert {len(v) for v in by_group} == {len(GROUPS)}
