import dataclasses
import tomllib

import pytest

from lnc_dicom.errors import UnusableInput
from lnc_dicom.segment.load import WEIGHTS, load_segmenter
from lnc_dicom.segment.train.fine_tune import RealData, fine_tune
from lnc_dicom.segment.train.main import RunSettings

MAPS = ("training_seg_03.nii.gz", "training_seg_04.nii.gz")


@pytest.fixture
def settings(data, tmp_path):
    for name in ("maps", "out"):
        (tmp_path / name).mkdir()
    for path in (data / "label-maps").iterdir():
        if path.suffix == ".npy" or path.name in MAPS:
            (tmp_path / "maps" / path.name).symlink_to(path)
    return RunSettings(
        tmp_path / "maps", tmp_path / "out", "9.9", {"label": 2}, 1, "cpu", 0, (1,), 2, "Heads of somebody."
    )


@pytest.fixture
def real(data, tmp_path):
    for name, file in (("images", "t1.nii.gz"), ("labels", "aparc+aseg.nii.gz")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "somebody.nii.gz").symlink_to(data / "labelled" / file)
    return RealData(WEIGHTS, tmp_path / "images", tmp_path / "labels", 0.5, 1e-6, ())


def test_a_fine_tuned_model_is_released_with_a_card_that_names_its_data(settings, real):
    steps = []
    folder = fine_tune(settings, real, lambda *step: steps.append(step[:3]))
    assert steps == [("label", 1, 2), ("label", 2, 2), ("extent", 1, 1), ("calibrate", 1, 2), ("calibrate", 2, 2)]
    assert load_segmenter(folder).model.version == "9.9"
    card = (folder / "MODEL_CARD.md").read_text()
    about = tomllib.loads((folder / "model.toml").read_text())
    assert all(digest in card for digest in about["sha256"].values())
    assert "Heads of somebody." in card
    assert "Real heads trained on: somebody. Held out for the curve below: training_seg_03." in card
    assert "### Stage `locate`" in card
    start = tomllib.loads((WEIGHTS / "model.toml").read_text())
    assert about["sha256"]["locate.safetensors"] == start["sha256"]["locate.safetensors"]


def test_not_every_real_head_can_be_held_out(settings, real):
    with pytest.raises(UnusableInput, match="none is left"):
        fine_tune(settings, dataclasses.replace(real, held_out=("somebody",)), lambda *_: None)
