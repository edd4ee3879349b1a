import math

import pytest

from lnc_dicom.cohort_table import COLUMNS, Patient, read_table, write_table
from lnc_dicom.errors import BadCohort

HEADER = ",".join(COLUMNS)


def _cohort(folder, *lines, header=HEADER, folders=("a", "b")):
    for name in folders:
        (folder / name).mkdir()
    (folder / "cohort.csv").write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return folder


def test_a_written_table_is_read_back_unchanged(tmp_path):
    patients = (Patient("a", "ill", (3, 4), 61.5, "F", "X"), Patient("b", "well", (5, 5), math.nan, "", ""))
    for p in patients:
        (tmp_path / p.name).mkdir()
    write_table(tmp_path, patients)
    (one, other) = read_table(tmp_path)
    assert one == patients[0]
    assert (other.name, other.stems, other.sex) == ("b", (5, 5), "")
    assert math.isnan(other.age)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a,ill,3,4,61,F,X"], "1 folders have no row"),
        (
            ["a,ill,3,4,61,F,X", "b,ill,3,4,61,F,X", "c,ill,3,4,61,F,X"],
            "1 patients have no folder, the first in line 4",
        ),
        (["a,ill,3,4,61,F,X", "a,ill,3,4,61,F,X", "b,ill,1,1,6,M,X"], "listed more than once, the first in line 2"),
        (["a,ill,-1,4,61,F,X", "b,ill,3,4,61,F,X"], "line 2: stems_left must be a whole number"),
        (["a,ill,3,4,61,F,X", "b,ill,3,40,61,F,X"], "line 3: stems_right must be a whole number"),
        (["a,ill,3,4.5,61,F,X", "b,ill,3,4,61,F,X"], "line 2: stems_right"),
        (["a,ill,3,4,190,F,X", "b,ill,3,4,61,F,X"], "line 2: age must be between"),
        (["a,ill,3,4,old,F,X", "b,ill,3,4,61,F,X"], "line 2: age must be a number"),
        (["a,ill,3,4,61,?,X", "b,ill,3,4,61,F,X"], "line 2: sex"),
        (["a,,3,4,61,F,X", "b,ill,3,4,61,F,X"], "line 2: group is empty"),
        ([], "names no patient"),
    ],
)
def test_an_invalid_table_is_refused_with_line_and_column(tmp_path, lines, said):
    with pytest.raises(BadCohort, match=said):
        read_table(_cohort(tmp_path, *lines))


def test_missing_columns_are_named(tmp_path):
    with pytest.raises(BadCohort, match="lacks the columns stems_left, stems_right"):
        read_table(_cohort(tmp_path, "a,ill,61,F,X", header="patient,group,age,sex,site"))


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(BadCohort, match="is missing"):
        read_table(tmp_path)


def test_an_error_never_quotes_the_table(tmp_path):
    with pytest.raises(BadCohort) as caught:
        read_table(_cohort(tmp_path, "CANARY,ill,3,4,61,F,X"))
    assert "CANARY" not in str(caught.value)
