import numpy as np
import pytest

from lnc_dicom.biomarker.crops import MARGIN, SHAPE, SPACING_MM
from lnc_dicom.biomarker.train import simulated
from lnc_dicom.simulate import oracle
from lnc_dicom.simulate.parameters import REGIONS
from lnc_dicom.simulate.subjects import CohortDesign, draw_people
from tests.unit.lnc_dicom.simulate.test_main import anatomy  # noqa: F401


@pytest.fixture(scope="module")
def made(anatomy, tmp_path_factory):  # noqa: F811
    cache = tmp_path_factory.mktemp("simulated")
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "PEOPLE", 3000)
        people = simulated.simulate_crops(anatomy, ("caudate", "putamen"), 3, 4, cache, said.append)
        yield anatomy, cache, people, said


def test_simulated_people_become_crops_with_true_labels(made):
    _, _, cohort, _ = made
    assert cohort.crops.shape == (3, 4, 2, *(n + 2 * MARGIN for n in SHAPE))
    found_ml = cohort.crops[:, :, 1].float().sum(dim=(2, 3, 4)).numpy() * SPACING_MM**3 / 1000
    np.testing.assert_allclose(found_ml, cohort.volumes[:, :4], rtol=0.1)


def test_targets_are_those_of_the_simulated_people(made):
    people, cohort = draw_people(3, CohortDesign(), 4), made[2]
    assert np.array_equal(cohort.stems, people.stems_read)
    np.testing.assert_array_equal(cohort.measured[:, 1, 0], people.fa[:, REGIONS.index("putamen"), 0])
    np.testing.assert_array_equal(cohort.measured[:, 2, 1], people.cbf[:, REGIONS.index("caudate"), 1])


def test_finished_crops_are_taken_from_the_cache(made):
    anatomy, cache, cohort, said = made  # noqa: F811
    said.clear()
    again = simulated.simulate_crops(anatomy, ("caudate", "putamen"), 3, 4, cache, said.append)
    assert said == []
    assert np.array_equal(again.crops, cohort.crops)
