import tomllib

import pytest

from lnc_dicom.errors import UnusableInput
from lnc_dicom.segment.load import WEIGHTS, load_segmenter
from lnc_dicom.segment.train.learn_on import LearnSettings, learn_on

MAPS = ("training_seg_03.nii.gz", "training_seg_04.nii.gz")


@pytest.fixture
def settings(data, tmp_path):
    for name in ("labels", "images", "drawn", "out"):
        (tmp_path / name).mkdir()
    for path in (data / "label-maps").iterdir():
        if path.suffix == ".npy" or path.name in MAPS:
            (tmp_path / "labels" / path.name).symlink_to(path)
    (tmp_path / "images" / "somebody.nii.gz").symlink_to(data / "labelled" / "t1.nii.gz")
    (tmp_path / "drawn" / "somebody.nii.gz").symlink_to(data / "labelled" / "aparc+aseg.nii.gz")
    return LearnSettings(
        start=WEIGHTS,
        labels=tmp_path / "labels",
        images=tmp_path / "images",
        image_labels=tmp_path / "drawn",
        out=tmp_path / "out",
        version="9.9",
        steps=2,
        peak_rate=1e-6,
        share=0.5,
        seed=1,
        device="cpu",
        workers=0,
        held_out=(1,),
        held_out_heads=(),
        calibration_images=2,
        data_note="Heads of somebody.",
    )


def test_a_model_that_learned_on_is_released_with_a_card_that_tells_from_what(settings):
    learn_on(settings)
    folder = settings.out / "model"
    assert load_segmenter(folder).model.version == "9.9"
    card = (folder / "MODEL_CARD.md").read_text()
    about = tomllib.loads((folder / "model.toml").read_text())
    assert all(digest in card for digest in about["sha256"].values())
    assert "Heads of somebody." in card
    assert "Real heads learned from: somebody. Held out for the curve below: training_seg_03." in card
    assert "### Stage `locate`" in card
    start = tomllib.loads((WEIGHTS / "model.toml").read_text())
    assert about["sha256"]["locate.safetensors"] == start["sha256"]["locate.safetensors"]


def test_all_heads_cannot_be_held_out(settings):
    import dataclasses

    with pytest.raises(UnusableInput, match="none is left"):
        learn_on(dataclasses.replace(settings, held_out_heads=("somebody",)))
