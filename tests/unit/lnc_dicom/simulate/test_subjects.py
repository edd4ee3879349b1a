import numpy as np
import pytest

from lnc_dicom.simulate.parameters import CONFOUNDED_AGE_MEAN, REGIONS, STEMS
from lnc_dicom.simulate.subjects import ISCHAEMIA, CohortDesign, draw_people


@pytest.fixture(scope="module")
def many():
    return draw_people(6000, CohortDesign(), 5)


def test_the_same_seed_gives_the_same_people():
    one, other, third = (draw_people(30, CohortDesign(), seed) for seed in (3, 3, 4))
    assert np.array_equal(one.t1_properties(), other.t1_properties())
    assert np.array_equal(one.cbf, other.cbf)
    assert not np.array_equal(one.t1_properties(), third.t1_properties())


def test_the_groups_are_of_equal_size():
    assert np.bincount(draw_people(79, CohortDesign(), 1).group).tolist() == [27, 26, 26]


def test_stems_per_hemisphere_have_the_published_means_and_spread(many):
    for group, (mean, sd) in enumerate(zip(STEMS.mean, STEMS.sd, strict=True)):
        stems = many.stems[many.group == group]
        assert stems.mean() == pytest.approx(mean, abs=0.1)
        assert stems.std() == pytest.approx(sd, abs=0.2)


def test_the_affected_side_has_fewer_stems_than_the_other_one(many):
    rows = np.flatnonzero(many.group == ISCHAEMIA)
    affected = many.stems[rows, many.affected[rows]]
    assert (many.stems[rows, 1 - many.affected[rows]] - affected).mean() == pytest.approx(
        2 * STEMS.affected_side, abs=0.15
    )


def test_couplings_have_the_published_size(many):
    healthy = many.group == 0
    putamen = REGIONS.index("putamen")

    def r(a, b):
        return np.corrcoef(a[healthy], b[healthy])[0, 1]

    assert r(many.stems[:, 0], many.age) == pytest.approx(-0.33, abs=0.07)
    assert r(many.stems[:, 0], many.volume[:, putamen, 0]) == pytest.approx(0.27, abs=0.12)
    assert r(many.fa[:, putamen, 0], many.age) == pytest.approx(0.5, abs=0.1)
    assert r(many.fa[:, REGIONS.index("internal capsule"), 0], many.age) < -0.3
    assert 0.14 < many.cbf[healthy, putamen, 0].std() / many.cbf[healthy, putamen, 0].mean() < 0.24


def test_the_thalamus_is_independent_of_the_stems_given_age(many):
    healthy, thalamus = many.group == 0, REGIONS.index("thalamus")
    age = np.polyfit(many.age[healthy], many.stems[healthy, 0], 1)
    rest = many.stems[healthy, 0] - np.polyval(age, many.age[healthy])
    for values in (many.volume, many.t1, many.fa):
        slope = np.polyfit(many.age[healthy], values[healthy, thalamus, 0], 1)
        assert abs(np.corrcoef(rest, values[healthy, thalamus, 0] - np.polyval(slope, many.age[healthy]))[0, 1]) < 0.06


def test_without_effect_the_groups_are_alike():
    people = draw_people(6000, CohortDesign(effect=0), 5)
    properties = np.column_stack([people.t1_properties(), people.stems, people.fa[:, :, 0], people.cbf[:, :, 0]])
    properties = properties[:, properties.std(axis=0) > 0]  # nobody has a scar
    spread = properties.std(axis=0)
    for group in (1, 2):
        apart = (properties[people.group == group].mean(axis=0) - properties[people.group == 0].mean(axis=0)) / spread
        assert np.abs(apart).max() < 0.12


def test_without_effect_the_stems_are_independent_of_everything_that_the_t1_shows():
    people = draw_people(6000, CohortDesign(effect=0), 5)
    properties = np.column_stack([people.t1_properties(), people.age])
    for values in properties[:, properties.std(axis=0) > 0].T:
        assert abs(np.corrcoef(values, people.stems[:, 0])[0, 1]) < 0.06


def test_confounded_groups_differ_only_in_age_and_its_consequences():
    people = draw_people(6000, CohortDesign(effect=0, confound="age"), 5)
    ages = [people.age[people.group == g].mean() for g in range(3)]
    assert ages == pytest.approx(CONFOUNDED_AGE_MEAN, abs=2.5)
    properties = np.column_stack([people.stems[:, 0], people.fa[:, 1, 0], people.cbf[:, 1, 0], people.t1[:, 1, 0]])
    for values in properties.T:
        rest = values - np.polyval(np.polyfit(people.age, values, 2), people.age)
        assert abs(rest[people.group == 2].mean() - rest[people.group == 0].mean()) < 0.12 * values.std()
