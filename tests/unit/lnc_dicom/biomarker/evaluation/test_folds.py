from collections import Counter

import numpy as np
import pytest

from lnc_dicom.biomarker.evaluation.folds import patient_folds, sample_folds, strata_of
from lnc_dicom.errors import BadCohort

GROUPS = ["a", "b", "c"] * 10


def test_every_fold_has_equally_many_patients_of_every_group():
    folds = patient_folds(GROUPS, 5, 1)
    assert set(Counter(zip(GROUPS, folds, strict=True)).values()) == {2}


def test_all_samples_of_a_patient_are_in_the_same_fold():
    subject = np.repeat(np.arange(30), 4)
    folds = sample_folds(subject, GROUPS, 5, 1).reshape(30, 4)
    assert (folds == folds[:, :1]).all()
    assert set(folds.ravel()) == set(range(5))


def test_folds_are_stratified_by_sites_that_are_large_enough():
    groups, sites = ["a"] * 10, ["x"] * 6 + ["y"] * 4
    assert strata_of(groups, sites, 5) == ["a|x"] * 6 + ["a"] * 4


def test_other_seeds_give_other_folds_and_the_same_seed_the_same():
    assert (patient_folds(GROUPS, 5, 1) == patient_folds(GROUPS, 5, 1)).all()
    assert (patient_folds(GROUPS, 5, 1) != patient_folds(GROUPS, 5, 2)).any()


def test_too_few_patients_are_refused():
    with pytest.raises(BadCohort, match="9 patients are too few for 5 folds"):
        patient_folds(GROUPS[:9], 5, 1)
