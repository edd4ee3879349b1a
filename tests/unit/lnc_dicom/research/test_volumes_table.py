import pytest

import lnc_dicom as lnc
from lnc_dicom.errors import NoHead, UnusableInput
from lnc_dicom.research.heads import Head
from lnc_dicom.research.volumes_table import is_complete, measured, not_measured, read_table, write_table

HEAD = Head("a", "in/a.nii.gz")


def test_a_table_is_read_as_it_was_written(image, tmp_path):
    result = lnc.segment(image)
    table = {"a": measured(HEAD, result), "b": not_measured(Head("b", "in/b"), NoHead("nothing there"))}
    write_table(tmp_path / "volumes.csv", table)
    found = read_table(tmp_path / "volumes.csv")
    assert found["a"] == table["a"]
    assert (found["b"][0]["code"], found["b"][0]["volume_ml"]) == (NoHead.code, "")
    assert is_complete(found["a"], HEAD, result.model)
    assert not is_complete(found["a"][:-1], HEAD, result.model)
    assert not is_complete(found["a"], Head("a", "elsewhere/a.nii.gz"), result.model)


def test_another_table_is_not_gone_on_with(tmp_path):
    (tmp_path / "volumes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UnusableInput):
        read_table(tmp_path / "volumes.csv")
