import math

import numpy as np
import pytest

from lnc_dicom.biomarker.cohort import load_cohort
from lnc_dicom.biomarker.crops import MARGIN, SHAPE
from lnc_dicom.cohort_table import Patient, write_table
from lnc_dicom.errors import BadCohort, NoT1, UnusableInput
from lnc_dicom.pipeline import analyse
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from tests.factories import NOW, BoxSegmenter, head, layout, write_series


class Analyst:
    """The pipeline with a segmenter that needs no network; counts the studies."""

    def __init__(self):
        self.studies = 0

    def __call__(self, study):
        self.studies += 1
        return analyse(study, Tools(BoxSegmenter(), NOW))


def _load(folder, analyst, regions=("caudate", "putamen")):
    return load_cohort(folder, regions, analyst, lambda path: read_study([path]), lambda _: None)


@pytest.fixture
def folder(tmp_path):
    array, lps_mm = layout(*head(), (2, 1, 0), (1, 1, 1))
    ages = (50.0, math.nan, 70.0)
    for i in range(3):
        write_series(tmp_path / f"p{i}", array * (1 + 0.1 * i), lps_mm)
    patients = [Patient(f"p{i}", ("well", "ill")[i % 2], (3 + i, 4), ages[i], "FM"[i % 2], "A") for i in range(3)]
    write_table(tmp_path, patients)
    return tmp_path


def test_a_cohort_combines_the_table_and_the_studies(folder):
    cohort = _load(folder, Analyst())
    assert len(cohort) == 3
    assert cohort.crops.shape == (3, 4, 2, *(n + 2 * MARGIN for n in SHAPE))
    assert cohort.stems.tolist() == [[3, 4], [4, 4], [5, 4]]
    assert cohort.group_names == ("well", "ill")
    assert np.isnan(cohort.measured).all()  # the studies hold no maps
    assert (cohort.volumes > 0.5).all()


def test_an_unknown_age_is_imputed_by_the_mean(folder):
    np.testing.assert_allclose(_load(folder, Analyst()).covariates[:, 0], [50, 60, 70])


def test_a_study_is_analysed_once(folder):
    analyst = Analyst()
    first, again = _load(folder, analyst), _load(folder, analyst)
    assert analyst.studies == 3
    assert np.array_equal(first.crops, again.crops)


def test_other_regions_need_no_new_analysis(folder):
    analyst = Analyst()
    _load(folder, analyst)
    assert _load(folder, analyst, ("thalamus",)).crops.shape[1] == 2
    assert analyst.studies == 3


def test_a_study_that_has_changed_is_analysed_again(folder):
    analyst = Analyst()
    _load(folder, analyst)
    path = next((folder / "p0").iterdir())
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    _load(folder, analyst)
    assert analyst.studies == 4


def test_the_cache_names_no_patient(folder):
    _load(folder, Analyst())
    names = " ".join(path.name for path in (folder / ".cache").iterdir())
    assert "p0" not in names.replace(".npz", "")
    assert len(list((folder / ".cache").iterdir())) == 3


def test_a_rejected_study_does_not_affect_the_others(folder):
    analyst = Analyst()

    def picky(study):
        if analyst.studies == 1:
            analyst.studies += 1
            raise NoT1("none")
        return analyst(study)

    cohort = _load(folder, picky)
    assert len(cohort) == 2
    assert [code for _, code in cohort.rejected] == ["LNC-103"]


def test_a_cohort_without_any_usable_study_is_refused(folder):
    def refuse(_study):
        raise NoT1("none")

    with pytest.raises(UnusableInput, match="no patient of the cohort"):
        _load(folder, refuse)


def test_an_unknown_category_is_refused(folder):
    with pytest.raises(BadCohort, match="1 categories"):
        _load(folder, Analyst()).groups(("well", "else"))
