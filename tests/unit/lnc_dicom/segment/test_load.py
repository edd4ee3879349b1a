import hashlib
import shutil
import tomllib

import pytest

from lnc_dicom.errors import ModelMismatch
from lnc_dicom.segment.load import WEIGHTS, load_segmenter

MAX_BYTES = 12_000_000


def test_the_released_weights_are_what_their_card_says():
    about = tomllib.loads((WEIGHTS / "model.toml").read_text())
    card = (WEIGHTS / "MODEL_CARD.md").read_text()
    for file, digest in about["sha256"].items():
        assert hashlib.sha256((WEIGHTS / file).read_bytes()).hexdigest() == digest
        assert digest in card
    assert "Not for diagnosis" in card


def test_the_weights_are_small():
    assert sum(path.stat().st_size for path in WEIGHTS.glob("*.safetensors")) <= MAX_BYTES


def test_other_weights_than_the_released_are_refused(tmp_path):
    shutil.copytree(WEIGHTS, tmp_path / "model")
    path = tmp_path / "model" / "locate.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelMismatch, match=r"locate\.safetensors"):
        load_segmenter(tmp_path / "model")
