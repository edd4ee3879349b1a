from contextlib import ExitStack

import pytest

from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.research.heads import find_heads


def _names(*paths, out):
    with ExitStack() as stack:
        return [head.name for head in find_heads(paths, out, stack)]


def _files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_names_are_paths_below_what_was_named(tmp_path):
    _files(tmp_path, "a/t1.nii.gz", "b/x/t1.nii")
    assert _names(tmp_path, out=tmp_path / "out") == ["a_t1", "b_x_t1"]
    assert _names(tmp_path / "a" / "t1.nii.gz", out=tmp_path / "out") == ["t1"]


def test_the_same_image_counts_once_and_equal_names_are_numbered(tmp_path):
    _files(tmp_path, "t1.nii", "t1.nii.gz")
    assert _names(tmp_path / "t1.nii", tmp_path / "t1.nii.gz", tmp_path / "t1.nii", out=tmp_path / "out") == [
        "t1",
        "t1-2",
    ]


def test_a_bids_data_set_is_named_alone(tmp_path):
    _files(tmp_path, "bids/dataset_description.json", "t1.nii")
    with pytest.raises(UnusableInput, match="name it alone"):
        _names(tmp_path / "bids", tmp_path / "t1.nii", out=tmp_path / "out")


def test_a_path_that_is_not_there_is_told_before_anything_is_measured(tmp_path):
    with pytest.raises(PathMissing):
        _names(tmp_path / "nowhere.nii", out=tmp_path / "out")
