import numpy as np

from lnc_dicom.biomarker.evaluation.design import Design, Kind, Task, columns_of, rows_of, tasks_of
from lnc_dicom.biomarker.evaluation.inputs import Leak, Seen
from lnc_dicom.simulate.parameters import GROUPS
from lnc_dicom.simulate.subjects import Study, draw_people
from tests.simulated_features import cohort_of

COHORT = cohort_of(draw_people(7, Study(), 1))


def _seen(offset=0):
    """Features that say which patient and place they are of."""
    features = np.zeros((7, 6, 3))
    features[..., 0] = 10 * np.arange(7)[:, None] + np.arange(6) + offset
    maps = np.arange(84.0).reshape(7, 6, 2)
    return Seen(features, maps, np.arange(14.0).reshape(7, 2), np.arange(21.0).reshape(7, 3))


def test_maps_and_stems_have_a_row_per_side_and_the_disease_one_per_patient():
    counts = {task: len(rows_of(task, COHORT, GROUPS, Leak.NONE, 1).y) for task in tasks_of(COHORT)}
    assert len(counts) == 8
    assert {n for t, n in counts.items() if t.kind is not Kind.DISEASE} == {14}
    assert counts[Task(Kind.DISEASE)] == 7


def test_a_row_of_a_map_has_the_measurement_and_features_of_its_own_side():
    task = Task(Kind.MAP, region=1, quantity=1)
    rows = rows_of(task, COHORT, GROUPS, Leak.NONE, 1)
    columns = columns_of(task, Design.MODEL, rows, COHORT, [_seen()])
    right = np.flatnonzero((rows.subject == 4) & (rows.side == 1))[0]
    assert rows.y[right] == COHORT.measured[4, 4, 1]
    assert columns.plain[right, 0] == 10 * 4 + 4
    assert list(columns.strong[right]) == list(_seen().maps[4, 4])


def test_a_row_of_stems_sees_its_own_side_first():
    task = Task(Kind.STEMS)
    rows = rows_of(task, COHORT, GROUPS, Leak.NONE, 1)
    columns = columns_of(task, Design.MODEL, rows, COHORT, [_seen()])
    right = np.flatnonzero((rows.subject == 2) & (rows.side == 1))[0]
    assert rows.y[right] == COHORT.stems[2, 1]
    assert list(columns.plain[right, [0, 3, 6]]) == [23, 24, 25]
    assert list(columns.strong[right]) == [5, 4]


def test_the_disease_does_not_depend_on_which_side_is_called_left():
    task = Task(Kind.DISEASE)
    rows = rows_of(task, COHORT, GROUPS, Leak.NONE, 1)
    turned = _seen()
    order = [3, 4, 5, 0, 1, 2]
    mirrored = Seen(turned.features[:, order], turned.maps[:, order], turned.stems[:, ::-1], turned.logits)
    plain, other = (columns_of(task, Design.MODEL, rows, COHORT, [s]).plain for s in (turned, mirrored))
    assert np.allclose(plain, other)


def test_what_was_not_measured_has_no_row():
    people = draw_people(7, Study(), 1)
    cohort = cohort_of(people)
    cohort.measured[3, 0, 0] = np.nan
    rows = rows_of(Task(Kind.MAP), cohort, GROUPS, Leak.NONE, 1)
    assert len(rows.y) == 13
    assert not ((rows.subject == 3) & (rows.side == 0)).any()
    cohort.measured[:, [0, 3], 0] = np.nan
    assert Task(Kind.MAP, 0, 0) not in tasks_of(cohort)


def test_leaked_slices_are_rows_of_their_own_with_the_features_of_their_view():
    task = Task(Kind.DISEASE)
    rows = rows_of(task, COHORT, GROUPS, Leak.SLICES, 2)
    columns = columns_of(task, Design.MODEL, rows, COHORT, [_seen(), _seen(1000)])
    assert len(rows.y) == 14
    assert (np.diff(columns.plain[:, 0].reshape(7, 2), axis=1) == 1000).all()


def test_baselines_see_nothing_of_the_network():
    rows = rows_of(Task(Kind.STEMS), COHORT, GROUPS, Leak.NONE, 1)
    age = columns_of(Task(Kind.STEMS), Design.AGE, rows, COHORT, [])
    volumes = columns_of(Task(Kind.STEMS), Design.VOLUMES, rows, COHORT, [])
    assert np.array_equal(age.strong, COHORT.covariates[rows.subject])
    assert volumes.strong.shape[1] == 8 + COHORT.covariates.shape[1]
    right = np.flatnonzero((rows.subject == 2) & (rows.side == 1))[0]
    assert list(volumes.strong[right, :4]) == [*COHORT.volumes[2, 3:6], COHORT.volumes[2, 7]]
