import hashlib

import pytest

from lnc_dicom.errors import ModelMismatch, UnusableInput
from lnc_dicom.weights_file import load_about


@pytest.fixture
def folder(tmp_path):
    """Give a model of two files."""
    digests = []
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        digests.append(hashlib.sha256(name.encode()).hexdigest())
    lines = ['name = "m"', 'version = "1.2"', "[sha256]", f'a = "{digests[0]}"', f'b = "{digests[1]}"']
    (tmp_path / "model.toml").write_text("\n".join(lines))
    return tmp_path


def test_the_digest_of_a_model_is_that_of_the_digests_of_its_files(folder):
    model, about = load_about(folder)
    assert (model.name, model.version) == ("m", "1.2")
    assert model.digest == hashlib.sha256("".join(about["sha256"].values()).encode()).hexdigest()


def test_a_file_that_differs_from_the_released_one_is_refused(folder):
    (folder / "b").write_text("c")
    with pytest.raises(ModelMismatch, match="the digest of b"):
        load_about(folder)


@pytest.mark.parametrize("name", ["model.toml", "b"])
def test_a_missing_file_is_refused_by_its_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(UnusableInput, match=rf"there is no {name} in"):
        load_about(folder)
