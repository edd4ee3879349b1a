import dataclasses
import json
import tomllib

import pytest
from PIL import Image

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import UnusableInput
from lnc_dicom.segment.load import WEIGHTS, load_segmenter
from lnc_dicom.segment.network import load_weights
from lnc_dicom.segment.train.main import RunSettings, train_both
from lnc_dicom.segment.train.stages import LABEL, LOCATE
from lnc_dicom.segment.train.trainer import Progress, Trainer, TrainingSchedule
from lnc_dicom.weights_file import sha256

STEPS = 10


def _finished(out, *, trained):
    """Checkpoints of a run that has come to its end."""
    for stage in (LOCATE, LABEL):
        trainer = Trainer(stage, TrainingSchedule(STEPS))
        if trained:
            weights = load_weights(WEIGHTS / f"{stage.name}.safetensors").state_dict()
            trainer.best.load_state_dict(weights)
        trainer.step = STEPS
        trainer.curve = [Progress(step, 1.0, (0.5,) * (stage.classes - 1)) for step in (5, STEPS)]
        trainer._save(out / f"{stage.name}.pt")


@pytest.fixture
def settings(data, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    wanted = ["training_seg_03.nii.gz", "training_seg_04.nii.gz", "training_seg_08.nii.gz"]
    for path in (data / "label-maps").iterdir():
        if path.suffix == ".npy" or path.name in wanted:
            (labels / path.name).symlink_to(path)
    (tmp_path / "out").mkdir()
    steps = {"locate": STEPS, "label": STEPS}
    return RunSettings(labels, tmp_path / "out", "9.9", steps, 1, "cpu", 0, (1, 3), 4, "Maps of somebody.")


def test_a_finished_run_is_calibrated_and_released_with_its_card(settings):
    _finished(settings.out, trained=True)
    steps, lines = [], []
    folder = train_both(settings, lambda *step: steps.append(step[:3]), lines.append)
    assert steps == [("calibrate", i, 4) for i in (1, 2, 3, 4)]
    assert [line.split(":")[0] for line in lines] == ["locate", "label"]
    assert load_segmenter(folder).model.version == "9.9"
    about = tomllib.loads((folder / "model.toml").read_text())
    card = (folder / "MODEL_CARD.md").read_text()
    assert all(sha256(folder / file) == digest and digest in card for file, digest in about["sha256"].items())
    assert "Maps of somebody." in card
    assert "held out for the curve below: training_seg_03, training_seg_08." in card
    for name in dict.fromkeys(s.name for s in STRUCTURES):
        (row,) = [line for line in card.splitlines() if line.startswith(f"| {name} | 0.")]
        assert 0.5 < float(row.split("|")[2].split()[0]) <= 1
    calibration = json.loads((folder / "calibration.json").read_text())
    assert calibration["images"] == 4
    assert all(0 < error < 100 for error in calibration["volume_error"].values())
    for stage in ("locate", "label"):
        with Image.open(folder / f"{stage}.png") as curve:
            assert curve.size[0] >= 800


def test_networks_that_find_nothing_are_not_released(settings):
    _finished(settings.out, trained=False)
    with pytest.raises(UnusableInput, match="more steps"):
        train_both(dataclasses.replace(settings, calibration_images=1), lambda *_: None, lambda _: None)
    assert not (settings.out / "model" / "model.toml").exists()
