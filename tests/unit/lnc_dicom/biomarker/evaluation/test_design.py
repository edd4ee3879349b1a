import numpy as np

from lnc_dicom.biomarker.evaluation.design import Method, Task, TaskKind, design_matrix, samples_of, tasks_of
from lnc_dicom.biomarker.evaluation.inputs import NetworkOutputs
from lnc_dicom.simulate.parameters import GROUPS
from lnc_dicom.simulate.subjects import CohortDesign, draw_people
from tests.simulated_features import cohort_of

COHORT = cohort_of(draw_people(7, CohortDesign(), 1))


def _outputs():
    """Features that encode their patient and region."""
    features = np.zeros((7, 6, 3))
    features[..., 0] = 10 * np.arange(7)[:, None] + np.arange(6)
    maps = np.arange(84.0).reshape(7, 6, 2)
    return NetworkOutputs(features, maps, np.arange(14.0).reshape(7, 2), np.arange(21.0).reshape(7, 3))


def test_maps_and_stems_have_a_sample_per_side_and_the_disease_one_per_patient():
    counts = {task: len(samples_of(task, COHORT, GROUPS).y) for task in tasks_of(COHORT)}
    assert len(counts) == 8
    assert {n for t, n in counts.items() if t.kind is not TaskKind.DISEASE} == {14}
    assert counts[Task(TaskKind.DISEASE)] == 7


def test_a_sample_of_a_map_has_the_measurement_and_features_of_its_own_side():
    task = Task(TaskKind.MAP, region=1, quantity=1)
    samples = samples_of(task, COHORT, GROUPS)
    columns = design_matrix(task, Method.MODEL, samples, COHORT, _outputs())
    right = np.flatnonzero((samples.subject == 4) & (samples.side == 1))[0]
    assert samples.y[right] == COHORT.measured[4, 4, 1]
    assert columns.features[right, 0] == 10 * 4 + 4
    assert list(columns.predictors[right]) == list(_outputs().maps[4, 4])


def test_a_sample_of_the_stems_has_its_own_side_first():
    task = Task(TaskKind.STEMS)
    samples = samples_of(task, COHORT, GROUPS)
    columns = design_matrix(task, Method.MODEL, samples, COHORT, _outputs())
    right = np.flatnonzero((samples.subject == 2) & (samples.side == 1))[0]
    assert samples.y[right] == COHORT.stems[2, 1]
    assert list(columns.features[right, [0, 3, 6]]) == [23, 24, 25]
    assert list(columns.predictors[right]) == [5, 4]


def test_the_disease_does_not_depend_on_which_side_is_called_left():
    task = Task(TaskKind.DISEASE)
    samples = samples_of(task, COHORT, GROUPS)
    turned = _outputs()
    order = [3, 4, 5, 0, 1, 2]
    mirrored = NetworkOutputs(turned.features[:, order], turned.maps[:, order], turned.stems[:, ::-1], turned.logits)
    plain, other = (design_matrix(task, Method.MODEL, samples, COHORT, s).features for s in (turned, mirrored))
    assert np.allclose(plain, other)


def test_a_side_that_was_not_measured_has_no_sample():
    people = draw_people(7, CohortDesign(), 1)
    cohort = cohort_of(people)
    cohort.measured[3, 0, 0] = np.nan
    samples = samples_of(Task(TaskKind.MAP), cohort, GROUPS)
    assert len(samples.y) == 13
    assert not ((samples.subject == 3) & (samples.side == 0)).any()
    cohort.measured[:, [0, 3], 0] = np.nan
    assert Task(TaskKind.MAP, 0, 0) not in tasks_of(cohort)


def test_baselines_do_not_use_the_network():
    samples = samples_of(Task(TaskKind.STEMS), COHORT, GROUPS)
    age = design_matrix(Task(TaskKind.STEMS), Method.AGE, samples, COHORT, None)
    volumes = design_matrix(Task(TaskKind.STEMS), Method.VOLUMES, samples, COHORT, None)
    assert np.array_equal(age.predictors, COHORT.covariates[samples.subject])
    assert volumes.predictors.shape[1] == 8 + COHORT.covariates.shape[1]
    right = np.flatnonzero((samples.subject == 2) & (samples.side == 1))[0]
    assert list(volumes.predictors[right, :4]) == [*COHORT.volumes[2, 3:6], COHORT.volumes[2, 7]]
