from collections import Counter

import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation.folds import patient_folds, row_folds, strata_of
from lnc_dicom.errors import BadCohort

GROUPS = ["a", "b", "c"] * 10


def test_every_fold_holds_as_many_of_every_group():
    folds = patient_folds(GROUPS, 5, 1)
    assert set(Counter(zip(GROUPS, folds, strict=True)).values()) == {2}


def test_all_rows_of_a_patient_share_a_fold():
    subject = np.repeat(np.arange(30), 4)
    folds = row_folds(subject, GROUPS, 5, 1, leak=False).reshape(30, 4)
    assert (folds == folds[:, :1]).all()
    assert set(folds.ravel()) == set(range(5))


def test_a_leak_splits_the_rows_of_patients():
    subject = np.repeat(np.arange(30), 2)
    folds = row_folds(subject, GROUPS, 5, 1, leak=True).reshape(30, 2)
    assert (folds[:, 0] != folds[:, 1]).any()


def test_sites_count_only_where_they_reach_every_fold():
    groups, sites = ["a"] * 10, ["x"] * 6 + ["y"] * 4
    assert strata_of(groups, sites, 5) == ["a|x"] * 6 + ["a"] * 4


def test_other_seeds_give_other_folds_and_the_same_seed_the_same():
    assert (patient_folds(GROUPS, 5, 1) == patient_folds(GROUPS, 5, 1)).all()
    assert (patient_folds(GROUPS, 5, 1) != patient_folds(GROUPS, 5, 2)).any()


def test_too_few_patients_are_refused():
    with pytest.raises(BadCohort, match="9 patients are too few for 5 folds"):
        patient_folds(GROUPS[:9], 5, 1)
