import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lnc_dicom.biomarker.load import load_model
from lnc_dicom.biomarker.train.main import KEPT_ASIDE, TrainingPlan, split, train_model
from lnc_dicom.biomarker.train.model_card import About
from lnc_dicom.biomarker.train.trainer import Schedule
from lnc_dicom.errors import BadCohort, ModelMismatch, UnusableInput
from lnc_dicom.report import DEMONSTRATION
from lnc_dicom.segment.load import sha256
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


def _with_digests(folder):
    about = (folder / "model.toml").read_text().split("[sha256]")[0]
    lines = [f'"{n}" = "{sha256(folder / n)}"' for n in ("biomarker.safetensors", "calibration.json")]
    (folder / "model.toml").write_text(about + "[sha256]\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("other", ["biomarker.safetensors", "calibration.json"])
def test_a_model_of_another_version_is_an_error_of_use(folder, tmp_path, other):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    if other == "calibration.json":  # as 0.3.0 wrote it: one calibration for everybody
        (tmp_path / other).write_text(json.dumps(json.loads((tmp_path / other).read_text())["with_covariates"]))
    else:  # without the heads that 0.3.0 had not
        with safe_open(folder / other, "pt") as file:
            tensors = {n: file.get_tensor(n) for n in file.keys() if not n.startswith("person")}  # noqa: SIM118
            save_file(tensors, tmp_path / other, file.metadata())
    _with_digests(tmp_path)
    with pytest.raises(UnusableInput, match="another version"):
        load_model(tmp_path)


def test_a_cohort_that_only_calibrates_teaches_nothing(cohort, tmp_path):
    about = About("site-model", "7", GROUPS, demonstration=True, data_note="Balls.")
    plan = TrainingPlan(tmp_path, about, Schedule(0, 0, batch=8))
    train_model(cohort, plan, lambda _: None, aside=cohort.chosen(np.arange(20)))
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert load_model(tmp_path / "model").calibration.patients == 20
    assert "48 patients were learned from" in card
    assert "On 20 patients kept aside" in card
    assert "curve.png" not in card  # no epoch, no curve
    assert not (tmp_path / "model" / "curve.png").exists()


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
