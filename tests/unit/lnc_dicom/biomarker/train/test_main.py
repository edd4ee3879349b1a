import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lnc_dicom.biomarker.load import load_model
from lnc_dicom.biomarker.train.main import HELD_OUT_SHARE, TrainingPlan, split, train_model
from lnc_dicom.biomarker.train.model_card import ModelDescription
from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule
from lnc_dicom.errors import BadCohort, ModelMismatch, UnusableInput
from lnc_dicom.report import DEMONSTRATION
from lnc_dicom.weights_file import sha256
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, make_cohort


@pytest.fixture(scope="module")
def folder(cohort, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    about = ModelDescription("site-model", "7", GROUPS, demonstration=True, data_note="Balls.")
    train_model(cohort, TrainingPlan(out, about, BiomarkerSchedule(1, 1, batch=8)), lambda _: None)
    return out / "model"


def test_a_training_writes_a_model_that_loads(folder):
    model = load_model(folder)
    assert (model.model.name, model.model.version, model.groups) == ("site-model", "7", GROUPS)
    assert model.demonstration
    assert model.calibration.patients == 10


def test_the_model_card_describes_data_and_training(folder):
    card = (folder / "MODEL_CARD.md").read_text()
    for words in (
        DEMONSTRATION.capitalize(),
        "Not for diagnosis",
        "Balls.",
        "Trained on 38 patients",
        "10 held-out patients",
    ):
        assert words in card
    assert (folder / "curve.png").stat().st_size > 10_000


def test_a_changed_file_is_refused(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / "calibration.json").read_text()
    (tmp_path / "calibration.json").write_text(text.replace("temperature", "temperature "))
    with pytest.raises(ModelMismatch, match=r"digest of calibration\.json"):
        load_model(tmp_path)


def _with_digests(folder):
    about = (folder / "model.toml").read_text().split("[sha256]")[0]
    lines = [f'"{n}" = "{sha256(folder / n)}"' for n in ("biomarker.safetensors", "calibration.json")]
    (folder / "model.toml").write_text(about + "[sha256]\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("other", ["biomarker.safetensors", "calibration.json"])
def test_a_model_of_another_version_is_refused(folder, tmp_path, other):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    if other == "calibration.json":  # as in 0.3.0: one calibration for all patients
        (tmp_path / other).write_text(json.dumps(json.loads((tmp_path / other).read_text())["with_covariates"]))
    else:  # as in 0.3.0: without the covariate heads
        with safe_open(folder / other, "pt") as file:
            tensors = {n: file.get_tensor(n) for n in file.keys() if not n.startswith("demographics")}  # noqa: SIM118
            save_file(tensors, tmp_path / other, file.metadata())
    _with_digests(tmp_path)
    with pytest.raises(UnusableInput, match="another version"):
        load_model(tmp_path)


def test_a_calibration_cohort_is_not_trained_on(cohort, tmp_path):
    about = ModelDescription("site-model", "7", GROUPS, demonstration=True, data_note="Balls.")
    plan = TrainingPlan(tmp_path, about, BiomarkerSchedule(0, 0, batch=8))
    train_model(cohort, plan, lambda _: None, calibration_cohort=cohort.subset(np.arange(20)))
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert load_model(tmp_path / "model").calibration.patients == 20
    assert "Trained on 48 patients" in card
    assert "20 held-out patients" in card
    assert "curve.png" not in card  # no epoch, no curve
    assert not (tmp_path / "model" / "curve.png").exists()


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UnusableInput, match=r"no model.toml"):
        load_model(tmp_path)


def test_no_patient_is_in_both_parts_and_every_category_is_in_each(cohort):
    training, held_out = split(cohort, 1)
    assert not set(training) & set(held_out)
    assert len(held_out) == round(HELD_OUT_SHARE * len(cohort))
    for rows in (training, held_out):
        assert len(np.unique(cohort.groups(GROUPS)[rows])) == 3


def test_too_few_patients_are_refused():
    with pytest.raises(BadCohort, match="too few"):
        split(make_cohort(8, 1), 1)
