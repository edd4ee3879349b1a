"""`lnc segment`: whatever is named, labels of each head and one table of all."""

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet
from typer.testing import CliRunner

from lnc_dicom.cli.main import app
from lnc_dicom.research import measure
from tests.factories import BoxSegmenter, head, layout, write_series

RUN = CliRunner()
REAL = Path(__file__).resolve().parents[5] / "shared" / "data" / "labelled-heads" / "fstd-01" / "t1.nii.gz"


@pytest.fixture
def boxes(monkeypatch):
    """The segmenter of the small heads; its list counts the heads that it has seen."""
    seen = []

    class Counting(BoxSegmenter):
        def __call__(self, volume, /):
            seen.append(volume.shape)
            return super().__call__(volume)

    monkeypatch.setattr(measure, "_segmenter", lambda *_: Counting())
    return seen


def _image(path, *, bad=False):
    array, lps_mm = head()
    array = array.max() - array if bad else array
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(array.astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps_mm).to_filename(path)
    return path


def _study(folder):
    folder.mkdir(parents=True)
    write_series(folder, *layout(*head(), (2, 1, 0), (1, 1, 1)))
    return folder


def _segment(*paths, out, code=0):
    done = RUN.invoke(app, ["segment", *map(str, paths), "--out", str(out)])
    assert done.exit_code == code, done.output
    return done


def _table(out):
    with (out / "volumes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_image_gives_its_labels_and_fourteen_rows(boxes, tmp_path):
    _segment(_image(tmp_path / "t1.nii.gz"), out=tmp_path / "out")
    labels = nib.load(tmp_path / "out" / "t1_labels.nii.gz")
    assert len(np.unique(labels.dataobj)) == 15
    rows = _table(tmp_path / "out")
    assert len(rows) == 14
    assert all(float(r["volume_low_ml"]) <= float(r["volume_ml"]) <= float(r["volume_high_ml"]) for r in rows)


def test_images_of_one_name_in_two_folders_are_told_apart(boxes, tmp_path):
    images = [_image(tmp_path / name / "t1.nii.gz") for name in "ab"]
    _segment(*images, out=tmp_path / "out")
    assert {r["name"] for r in _table(tmp_path / "out")} == {"a_t1", "b_t1"}


@pytest.mark.slow
def test_a_tree_with_images_and_studies_and_a_zip_of_it_give_the_same(boxes, tmp_path):
    tree = tmp_path / "tree"
    _image(tree / "a" / "t1.nii.gz")
    _study(tree / "b")
    _segment(tree, out=tmp_path / "out")
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", tree)
    _segment(archive, out=tmp_path / "unzipped")
    found = [{r["name"]: r["doubt"] for r in _table(tmp_path / name)} for name in ("out", "unzipped")]
    assert found[0].keys() == {"a_t1", "b"}
    assert {f"all_{name}": doubt for name, doubt in found[0].items()} == found[1]


def test_a_dicomdir_gives_the_study_that_it_names(boxes, tmp_path):
    medium = FileSet()
    for path in sorted(_study(tmp_path / "study").iterdir()):
        dataset = pydicom.dcmread(path)
        dataset.StudyID = dataset.PatientID = "1"
        medium.add(dataset)
    medium.write(tmp_path / "medium")
    medium._stage["t"].cleanup()
    _segment(tmp_path / "medium" / "DICOMDIR", out=tmp_path / "out")
    assert {r["name"] for r in _table(tmp_path / "out")} == {"DICOMDIR"}


def test_one_failure_stops_nothing_and_is_told_at_the_end(boxes, tmp_path):
    _image(tmp_path / "in" / "a.nii.gz", bad=True)
    _image(tmp_path / "in" / "b.nii.gz")
    done = _segment(tmp_path / "in", out=tmp_path / "out", code=3)
    assert "LNC-119" in done.output
    assert "1 of 2" in done.output
    rows = _table(tmp_path / "out")
    assert [r["code"] for r in rows if r["name"] == "a"] == ["LNC-112"]
    assert len([r for r in rows if r["name"] == "b"]) == 14
    assert not (tmp_path / "out" / "a_labels.nii.gz").exists()


def test_a_fault_of_ours_in_one_head_stops_nothing(monkeypatch, boxes, tmp_path):
    _image(tmp_path / "in" / "a.nii.gz")
    _image(tmp_path / "in" / "b.nii.gz")
    real = measure.segment
    monkeypatch.setattr(measure, "segment", lambda path, **how: 1 / 0 if path.name[0] == "a" else real(path, **how))
    _segment(tmp_path / "in", out=tmp_path / "out", code=3)
    assert {r["code"] for r in _table(tmp_path / "out")} == {"LNC-300", ""}


def test_the_error_of_the_only_head_is_the_error_of_the_command(boxes, tmp_path):
    assert "LNC-112" in _segment(_image(tmp_path / "t1.nii", bad=True), out=tmp_path / "out", code=3).output


def test_resume_measures_only_what_has_no_result(boxes, tmp_path):
    _image(tmp_path / "in" / "a.nii.gz")
    _segment(tmp_path / "in", out=tmp_path / "out")
    _image(tmp_path / "in" / "b.nii.gz")
    _segment(tmp_path / "in", "--resume", out=tmp_path / "out")
    assert len(boxes) == 2
    assert [r["name"] for r in _table(tmp_path / "out")] == 14 * ["a"] + 14 * ["b"]
    (tmp_path / "out" / "a_labels.nii.gz").unlink()
    _segment(tmp_path / "in", "--resume", out=tmp_path / "out")
    assert len(boxes) == 3
    _segment(tmp_path / "in", out=tmp_path / "out")
    assert len(boxes) == 5


def test_results_inside_the_folder_that_is_read_are_not_read_again(boxes, tmp_path):
    _image(tmp_path / "in" / "a.nii.gz")
    for _ in range(2):
        _segment(tmp_path / "in", out=tmp_path / "in" / "out")
    assert len(boxes) == 2
    assert "LNC-001" in _segment(tmp_path / "in", out=tmp_path / "in", code=2).output


def test_a_bids_data_set_gives_a_derivative(boxes, tmp_path):
    data_set = tmp_path / "bids"
    _image(data_set / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    _image(data_set / "sub-02" / "ses-a" / "anat" / "sub-02_ses-a_run-1_T1w.nii")
    _image(data_set / "sub-01" / "func" / "sub-01_task-rest_bold.nii.gz")
    (data_set / "dataset_description.json").write_text("{}")
    out = data_set / "derivatives" / "lnc"
    _segment(data_set, out=out)
    about = json.loads((out / "dataset_description.json").read_text())
    assert (about["DatasetType"], about["GeneratedBy"][0]["Name"]) == ("derivative", "lnc-dicom")
    anat = out / "sub-02" / "ses-a" / "anat"
    stem = "sub-02_ses-a_run-1_seg-lnc_dseg"
    assert sorted(p.name for p in anat.iterdir()) == [f"{stem}.json", f"{stem}.nii.gz", f"{stem}.tsv"]
    source = json.loads((anat / f"{stem}.json").read_text())["Sources"]
    assert source == ["bids:raw:sub-02/ses-a/anat/sub-02_ses-a_run-1_T1w.nii"]
    with (anat / f"{stem}.tsv").open(newline="") as file:
        table = {int(r["index"]): r["name"] for r in csv.DictReader(file, delimiter="\t")}
    assert set(np.unique(nib.load(anat / f"{stem}.nii.gz").dataobj)) == {0, *table}
    assert {r["name"] for r in _table(out)} == {"sub-01_T1w", "sub-02_ses-a_run-1_T1w"}


def test_quiet_prints_nothing_and_json_one_object_per_head(boxes, tmp_path):
    _image(tmp_path / "in" / "a.nii.gz")
    _image(tmp_path / "in" / "b.nii.gz", bad=True)
    assert _segment(tmp_path / "in" / "a.nii.gz", "--quiet", out=tmp_path / "quiet").output == ""
    done = _segment(tmp_path / "in", "--json", out=tmp_path / "out", code=3)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["labels"] == "a_labels.nii.gz"
    assert [s["label"] for s in first["structures"]] == list(range(1, 15))
    assert second["code"] == "LNC-112"


def test_what_cannot_be_found_or_opened_says_so(boxes, tmp_path):
    assert "LNC-002" in _segment(tmp_path / "nowhere", out=tmp_path / "out", code=2).output
    (tmp_path / "empty").mkdir()
    assert "LNC-118" in _segment(tmp_path / "empty", out=tmp_path / "out", code=3).output
    (tmp_path / "bad.zip").write_text("no archive")
    _segment(tmp_path / "bad.zip", _image(tmp_path / "t1.nii.gz"), out=tmp_path / "out", code=3)
    assert [r["code"] for r in _table(tmp_path / "out") if r["name"] == "bad"] == ["LNC-117"]


def test_the_networks_are_loaded_once(monkeypatch, tmp_path):
    loaded = []
    monkeypatch.setattr(measure, "load_segmenter", lambda *where: loaded.append(where) or BoxSegmenter())
    for name in "ab":
        _image(tmp_path / "in" / f"{name}.nii.gz")
    _segment(tmp_path / "in", "--model", tmp_path, out=tmp_path / "out")
    assert len(loaded) == 1


def test_a_device_that_is_not_there_is_a_usage_error(tmp_path):
    done = _segment(_image(tmp_path / "t1.nii.gz"), "--device", "nowhere", out=tmp_path / "out", code=2)
    assert "the device nowhere" in done.output


def test_a_head_that_fails_keeps_nothing_of_an_earlier_run(boxes, tmp_path):
    image = _image(tmp_path / "bids" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    (tmp_path / "bids" / "dataset_description.json").write_text("{}")
    _segment(tmp_path / "bids", out=tmp_path / "out")
    _image(image, bad=True)
    _segment(tmp_path / "bids", out=tmp_path / "out", code=3)
    assert list((tmp_path / "out" / "sub-01" / "anat").iterdir()) == []


@pytest.mark.slow
def test_a_real_head_is_segmented(tmp_path):
    if not REAL.is_file():
        pytest.skip("../shared/data is not there")
    _segment(REAL, out=tmp_path)
    assert sum(r["passed"] == "True" for r in _table(tmp_path)) >= 12
