"""Names of BIDS, and the inheritance principle."""

import json

import pytest

from lnc_dicom.errors import UnreadableSeries
from lnc_dicom.research.bids_names import BidsName, beside, description


def test_a_name_is_taken_apart_and_put_together():
    name = BidsName.of("sub-01_ses-b_run-2_T1w")
    assert (name.subject, name.session, name.suffix) == ("01", "b", "T1w")
    assert str(name) == "sub-01_ses-b_run-2_T1w"
    assert str(name.derived("dseg", seg="lnc")) == "sub-01_ses-b_run-2_seg-lnc_dseg"


@pytest.mark.parametrize("stem", ["t1", "sub-01_head_T1w", "sub-_T1w", "my head"])
def test_other_names_are_none_of_bids(stem):
    name = BidsName.of(stem)
    assert name is None or not name.entities


def test_nearer_and_more_specific_sidecars_win(tmp_path):
    folder = tmp_path / "sub-01" / "perf"
    folder.mkdir(parents=True)
    (tmp_path / "dataset_description.json").write_text("{}")
    (tmp_path / "asl.json").write_text(json.dumps({"A": 1, "B": 1}))
    (tmp_path / "dwi.json").write_text(json.dumps({"A": 9}))
    (folder / "sub-01_asl.json").write_text(json.dumps({"B": 2}))
    (folder / "sub-01_run-2_asl.json").write_text(json.dumps({"B": 3}))
    (tmp_path / "sub-01" / "sub-01_aslcontext.tsv").write_text("volume_type\n")
    image = folder / "sub-01_run-1_asl.nii.gz"
    assert description(image) == {"A": 1, "B": 2}
    assert beside(image, "aslcontext", ".tsv").name == "sub-01_aslcontext.tsv"
    assert beside(image, "m0scan", ".nii.gz") is None


def test_a_sidecar_that_is_no_json_is_named(tmp_path):
    (tmp_path / "sub-01_asl.json").write_text("{")
    with pytest.raises(UnreadableSeries, match=r"sub-01_asl\.json"):
        description(tmp_path / "sub-01_asl.nii.gz")
