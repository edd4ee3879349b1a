import shutil

import pytest

from lnc_dicom.biomarker.load import NETWORK, WEIGHTS, explainer_of, load_model, load_predictor
from lnc_dicom.errors import ModelMismatch, UnusableInput
from lnc_dicom.options import BiomarkerOptions


def test_the_released_model_is_a_demonstration_model_of_three_regions_and_three_categories():
    model = load_model()
    assert model.demonstration
    assert model.regions == ("caudate", "putamen", "pallidum")
    assert len(model.groups) == 3
    assert len(model.model.digest) == 64


def test_a_site_chooses_the_model_or_none():
    assert load_predictor(BiomarkerOptions(enabled=False)) is None
    assert load_predictor(BiomarkerOptions()).model == load_model().model
    with pytest.raises(UnusableInput, match=r"no model\.toml"):
        load_predictor(BiomarkerOptions(model=WEIGHTS.parent))


def test_changed_weights_are_refused(tmp_path):
    folder = shutil.copytree(WEIGHTS, tmp_path / "model")
    data = bytearray((folder / NETWORK).read_bytes())
    data[-1] ^= 1
    (folder / NETWORK).write_bytes(data)
    with pytest.raises(ModelMismatch, match=f"digest of {NETWORK}"):
        load_model(folder)


def test_without_a_model_there_is_no_explainer():
    assert explainer_of(None) is None
    assert explainer_of(load_model()) is not None
