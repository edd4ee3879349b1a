import tomllib
from dataclasses import replace

import numpy as np
import pytest

from lnc_dicom.biomarker.load import NETWORK
from lnc_dicom.biomarker.network import BiomarkerArchitecture, BiomarkerNetwork, load_network
from lnc_dicom.biomarker.train.calibrate import Skill
from lnc_dicom.biomarker.train.model_card import CURVE, ModelDescription, write_model
from lnc_dicom.biomarker.train.targets import Scales
from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule, Epoch, TrainingRun
from lnc_dicom.weights_file import sha256
from tests.unit.lnc_dicom.biomarker.test_calibration import EXAMPLE

ABOUT = ModelDescription("site-model", "7", ("well", 'ill "quoted"'), demonstration=False, data_note="From one site.")
SKILL = Skill(12, ((0.0199, 7.88), (0.02, 8.0)), ((0.0223, 8.28), (0.03, 9.0)), 1.02, 1.16, 0.81)


@pytest.fixture(scope="module")
def run():
    network = BiomarkerNetwork(BiomarkerArchitecture(("caudate", "putamen"), groups=2, width=4))
    return TrainingRun(network, Scales(np.ones((2, 2, 2)), np.ones(2)))


def _write(folder, run, description=ABOUT):
    write_model(folder, description, run, (EXAMPLE, EXAMPLE), SKILL, BiomarkerSchedule(3, 4), 50)
    return (folder / "MODEL_CARD.md").read_text()


def test_model_toml_holds_names_and_digests(run, tmp_path):
    _write(tmp_path, run)
    about = tomllib.loads((tmp_path / "model.toml").read_text())
    assert (about["name"], about["version"], about["demonstration"]) == ("site-model", "7", False)
    assert tuple(about["groups"]) == ABOUT.groups
    assert {name: sha256(tmp_path / name) for name in about["sha256"]} == about["sha256"]
    assert set(about["sha256"]) == {NETWORK, "calibration.json"}
    assert load_network(tmp_path / NETWORK).architecture == run.network.architecture


def test_the_card_holds_the_numbers_of_the_held_out_patients(run, tmp_path):
    card = _write(tmp_path, run)
    assert "| caudate | 0.0199 | 0.0223 | 7.88 | 8.28 |" in card
    for words in (
        "Trained on 50 patients",
        "Results on 12 held-out patients",
        "1.02",
        "1.16",
        "81 %",
        "From one site.",
    ):
        assert words in card
    assert "3 epochs of pre-training and 4 of fine-tuning" in card


def test_only_a_demonstration_model_carries_the_warning(run, tmp_path):
    assert "Demonstration model" not in _write(tmp_path, run)
    assert "**Demonstration model: trained on simulated patients" in _write(
        tmp_path, run, replace(ABOUT, demonstration=True)
    )


def test_a_training_without_epochs_has_no_curve(run, tmp_path):
    assert CURVE not in _write(tmp_path, run)
    assert not (tmp_path / CURVE).exists()
    trained = TrainingRun(run.network, run.scales, [Epoch("pre-training", n, 1.0, 0.1, 0.1, 0.1, 0.5) for n in (1, 2)])
    assert CURVE in _write(tmp_path, trained)
    assert (tmp_path / CURVE).read_bytes().startswith(b"\x89PNG")
