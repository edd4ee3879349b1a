import tomllib

import nibabel as nib
import numpy as np
import pytest

from lnc_dicom.errors import UnusableInput
from lnc_dicom.segment.evaluate.metrics import read_nifti
from lnc_dicom.segment.load import WEIGHTS, load_segmenter
from lnc_dicom.segment.network import load_weights
from lnc_dicom.segment.train.extent_bias import add_bias, set_extent
from lnc_dicom.segment.train.learn_on import LearnSettings, learn_on
from lnc_dicom.segment.train.real_heads import load_real_head

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


def test_a_bias_makes_a_structure_smaller_on_both_sides(data):
    volume = read_nifti(data / "labelled" / "t1.nii.gz")
    segmenter = load_segmenter()
    before = segmenter(volume).labels.array
    add_bias(segmenter.label, "pallidum", -1.0)
    after = segmenter(volume).labels.array
    for n in (5, 6):
        assert 0.5 < (after == n).sum() / (before == n).sum() < 0.95
    biases = [load_weights(WEIGHTS / "label.safetensors").last.bias, segmenter.label.last.bias]
    assert (biases[0] != biases[1]).nonzero().flatten().tolist() == [5, 6]


def test_the_extent_comes_to_that_of_the_labels(data, tmp_path):
    labels = read_nifti(data / "labelled" / "aparc+aseg.nii.gz")
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ labels.affine
    nib.save(nib.Nifti1Image(labels.array.astype(np.int32), affine), tmp_path / "l.nii.gz")
    head = load_real_head(data / "labelled" / "t1.nii.gz", tmp_path / "l.nii.gz")
    told = []
    weights = set_extent(load_segmenter(), [head], told.append)
    assert set(weights) == set(told[0])
    assert abs(told[-1]["pallidum"]) < abs(told[0]["pallidum"]) or abs(told[-1]["pallidum"]) < 0.05
    assert abs(told[-1]["thalamus"]) < 0.08
