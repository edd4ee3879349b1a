import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.model import load_model
from lnc_dicom.biomarker.release import About
from lnc_dicom.biomarker.run import KEPT_ASIDE, TrainingPlan, split, train_model
from lnc_dicom.biomarker.training import Schedule
from lnc_dicom.errors import BadCohort, ModelMismatch, UnusableInput
from lnc_dicom.report import DEMONSTRATION
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, make_cohort


@pytest.fixture(scope="module")
def folder(cohort, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    about = About("site-model", "7", GROUPS, demonstration=True, data_note="Balls.")
    train_model(cohort, TrainingPlan(out, about, Schedule(1, 1, batch=8)), lambda _: None)
    return out / "model"


def test_a_training_writes_a_model_that_loads(folder):
    model = load_model(folder)
    assert (model.model.name, model.model.version, model.groups) == ("site-model", "7", GROUPS)
    assert model.demonstration
    assert model.calibration.patients == 10


def test_the_card_says_how_the_weights_came_to_be(folder):
    card = (folder / "MODEL_CARD.md").read_text()
    for words in (DEMONSTRATION.capitalize(), "Not for diagnosis", "Balls.", "38 patients", "10 patients kept aside"):
        assert words in card
    assert (folder / "curve.png").stat().st_size > 10_000


def test_changed_weights_are_refused(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / "calibration.json").read_text()
    (tmp_path / "calibration.json").write_text(text.replace("temperature", "temperature "))
    with pytest.raises(ModelMismatch, match=r"digest of calibration\.json"):
        load_model(tmp_path)


def test_a_folder_without_model_is_an_error_of_use(tmp_path):
    with pytest.raises(UnusableInput, match=r"no model.toml"):
        load_model(tmp_path)


def test_no_patient_is_on_both_sides_and_every_category_on_each(cohort):
    training, watching = split(cohort, 1)
    assert not set(training) & set(watching)
    assert len(watching) == round(KEPT_ASIDE * len(cohort))
    for rows in (training, watching):
        assert len(np.unique(cohort.groups(GROUPS)[rows])) == 3


def test_too_few_patients_are_refused():
    with pytest.raises(BadCohort, match="too few"):
        split(make_cohort(8, 1), 1)
