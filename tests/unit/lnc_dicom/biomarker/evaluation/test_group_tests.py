from dataclasses import replace

import numpy as np
from scipy import stats

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.evaluation.bootstrap import Bootstrap
from lnc_dicom.biomarker.evaluation.group_tests import cohen_dz, compare_groups, compare_sides
from lnc_dicom.simulate.parameters import GROUPS
from lnc_dicom.simulate.subjects import CohortDesign, draw_people
from tests.simulated_features import cohort_of

BOOTSTRAP = Bootstrap(79, 200, 1)


def test_groups_of_different_age_and_stems_differ_in_the_table():
    people = draw_people(79, CohortDesign(1.0, "age"), 1)
    rows = {r.name: r for r in compare_groups(cohort_of(people), GROUPS)}
    ages = [people.age[people.group == g] for g in range(3)]
    assert np.isclose(rows["age (years)"].p, stats.kruskal(*ages).pvalue, rtol=0.3)  # ages equal but for rounding
    assert rows["age (years)"].p < 0.001
    assert rows["LSA stems"].known == (27, 26, 26)
    assert rows["LSA stems"].mean[0] > rows["LSA stems"].mean[2]
    assert rows["share of men"].test == "chi-squared"


def test_groups_without_a_difference_have_an_effect_size_near_zero():
    rows = compare_groups(cohort_of(draw_people(900, CohortDesign(0.0), 1)), GROUPS)
    assert {r.name for r in rows} >= {"LSA stems", "FA caudate", "CBF pallidum"}
    assert all(r.effect < 0.02 for r in rows if r.test == "Kruskal-Wallis")


def test_unknown_ages_and_sexes_are_excluded():
    cohort = cohort_of(draw_people(79, CohortDesign(), 1))
    unknown = replace(cohort.patients[0], age=float("nan"), sex="")
    other = Cohort(cohort.regions, (unknown, *cohort.patients[1:]), cohort.crops, cohort.measured, cohort.volumes)
    rows = {r.name: r for r in compare_groups(other, GROUPS)}
    assert sum(rows["age (years)"].known) == sum(rows["share of men"].known) == 78


def test_sides_that_differ_are_found_with_their_effect_size():
    cohort = cohort_of(draw_people(79, CohortDesign(), 1))
    cohort.measured[:, :3, 0] += 0.05
    cohort.measured[5, 0, 0] = np.nan
    rows = {r.name: r for r in compare_sides(cohort, BOOTSTRAP)}
    left, right = (np.delete(cohort.measured[:, k, 0], 5) for k in (0, 3))
    found = rows["FA caudate"]
    assert found.patients == 78
    assert np.isclose(found.p, stats.ttest_rel(left, right).pvalue)
    interval = stats.ttest_rel(left, right).confidence_interval(0.95)
    assert np.allclose((found.difference.low, found.difference.high), (interval.low, interval.high))
    assert np.isclose(found.dz.value, (left - right).mean() / (left - right).std(ddof=1))
    assert found.dz.low > 0
    assert found.p <= found.p_holm < 0.001
    assert rows["LSA stems"].difference.holds(0)
    assert rows["LSA stems"].p_holm > 0.05


def test_sides_that_are_equal_have_no_test():
    sides = np.tile(np.arange(79.0)[:, None], (1, 2))
    assert np.isnan(cohen_dz(sides, BOOTSTRAP).value)
