from pathlib import Path

import pytest

from lnc_dicom.errors import PathMissing, UnusableInput
from lnc_dicom.segment.train.main import RunSettings, train_both


def _settings(label_maps, out, held_out=(1,)):
    steps = {"locate": 1, "label": 1}
    return RunSettings(label_maps, out, "1.0", steps, 1, "cpu", 0, held_out, 1, "")


def _train(settings):
    return train_both(settings, lambda *_: pytest.fail("no step must be made"), lambda _: None)


def test_a_missing_folder_of_label_maps_is_refused(tmp_path):
    with pytest.raises(PathMissing, match="is not a folder"):
        _train(_settings(Path("none"), tmp_path))


@pytest.mark.parametrize("held_out", [(1, 2), (0,), (3,)])
def test_held_out_numbers_must_exist_and_leave_a_label_map_to_train_on(data, tmp_path, held_out):
    labels = tmp_path / "labels"
    labels.mkdir()
    for path in (data / "label-maps").iterdir():
        if path.suffix == ".npy" or path.name in {"training_seg_04.nii.gz", "training_seg_08.nii.gz"}:
            (labels / path.name).symlink_to(path)
    with pytest.raises(UnusableInput, match="2 label maps"):
        _train(_settings(labels, tmp_path, held_out))
