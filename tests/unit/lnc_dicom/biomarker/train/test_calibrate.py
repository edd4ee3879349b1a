import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.network import Outputs
from lnc_dicom.biomarker.train.calibrate import calibrate, conformal_width, fit_stems, measure_skill
from lnc_dicom.biomarker.train.targets import Scales
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, REGIONS, make_cohort

SCALES = Scales(np.full((len(REGIONS), 2, 2), (0.25, 0.03)), np.array([4.0, 1.0]))


def _outputs(count, **given):
    """Outputs of a network that always predicts the mean, except for what is given."""
    s = 2 * len(REGIONS)
    shapes = {"features": (count, s, 512), "maps": (count, s, 2), "log_sd": (count, s, 2), "stems": (count, 2)}
    shapes |= {"groups": (count, 3), "demographics": (count, 2), "privileged": (count, s, 7), "distance": (count, s)}
    return Outputs(**{name: given.get(name, torch.zeros(shape)) for name, shape in shapes.items()})


def test_conformal_intervals_cover_nine_of_ten_new_patients():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        scores = rng.standard_t(3, size=(81, 1))
        covered.append(abs(scores[80]) <= conformal_width(scores[:80]))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.05)


def test_regions_of_one_patient_do_not_count_as_several_patients():
    scores = np.random.default_rng(4).normal(size=(9, 1)).repeat(6, axis=1)
    assert conformal_width(scores) == pytest.approx(np.abs(scores).max())  # nine of ten need all nine
    scores[3] = np.nan
    assert conformal_width(scores) == pytest.approx(np.nanmax(np.abs(scores)))


def test_a_negative_slope_of_the_stems_means_no_skill():
    rng = np.random.default_rng(3)
    said = rng.normal(4, 1, 200)
    (offset, slope), sd = fit_stems(said, 8 - said)
    assert slope == 0
    assert offset == pytest.approx((8 - said).mean())
    assert sd == pytest.approx(1, abs=0.15)


def test_the_rank_of_the_conformal_interval_counts_the_new_patient_too():
    """With 18 patients the 90 % quantile is the 18th of 18 scores: ceil(19 * 0.9) = 18, where ceil(18 * 0.9) = 17."""
    assert conformal_width(np.arange(1.0, 19.0)[:, None]) == 18


def test_without_any_measurement_the_interval_is_that_of_a_normal_distribution():
    assert conformal_width(np.full((5, 4), np.nan)) == pytest.approx(1.645, abs=1e-3)


def test_the_calibration_holds_the_scales_of_the_heads_and_the_largest_distance():
    cohort = make_cohort(12, 3)
    distance = torch.zeros(12, 4)
    distance[5, 2] = 1.7
    found = calibrate(_outputs(12, distance=distance), cohort, SCALES, GROUPS)
    assert found.maps == (((0.25, 0.03), (0.25, 0.03)),) * 2
    assert (found.farthest, found.patients) == (pytest.approx(1.7), 12)
    assert found.stems_line[1] == 0  # a constant prediction has no slope
    assert found.stems_line[0] == pytest.approx(cohort.stems.mean())


def test_the_error_of_a_constant_prediction_is_that_of_the_mean():
    cohort = make_cohort(12, 3)
    skill = measure_skill(_outputs(12), cohort, SCALES, GROUPS)
    assert skill.rmse == skill.mean_rmse
    left_caudate_and_right = cohort.measured[:, [0, 2], 0] - 0.25
    assert skill.rmse[0][0] == pytest.approx(np.sqrt((left_caudate_and_right**2).mean()))
    assert skill.stems_rmse == skill.stems_mean_rmse == pytest.approx(np.sqrt(((cohort.stems - 4) ** 2).mean()))
    assert skill.accuracy == np.mean([p.group == GROUPS[0] for p in cohort.patients])
