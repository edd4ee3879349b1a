import numpy as np
import pandas as pd
import pytest

from lnc_dicom.biomarker.evaluation.inputs import NetworkOutputs, read_oracle
from lnc_dicom.errors import BadCohort
from lnc_dicom.simulate.parameters import GROUPS
from lnc_dicom.simulate.subjects import CohortDesign, draw_people
from tests.simulated_features import CHOSEN, cohort_of

COHORT = cohort_of(draw_people(6, CohortDesign(), 1))


def _table():
    """A number of its own in every cell, patients in another order than the cohort's."""
    columns = [f"{q} {r} {s}" for s in ("left", "right") for r in CHOSEN for q in ("fa", "cbf")]
    columns += [f"{n}_{s}" for n in ("stems", "stems_class") for s in ("left", "right")]
    columns += [f"group {g}" for g in GROUPS]
    names = [p.name for p in COHORT.patients][::-1]
    values = 1000 * np.arange(6)[::-1, None] + np.arange(len(columns))
    return pd.DataFrame(values, index=pd.Index(names, name="patient"), columns=columns)


def test_the_oracle_is_read_by_name_in_the_order_of_the_cohort(tmp_path):
    _table().iloc[:, ::-1].to_csv(tmp_path / "oracle.csv")
    found = read_oracle(tmp_path, COHORT)
    assert found.maps[2, 4].tolist() == [2008, 2009]
    assert found.stems[3].tolist() == [3012, 3013]
    assert found.stems_class[3].tolist() == [3014, 3015]
    order = [GROUPS.index(name) for name in found.group_names]
    assert found.groups[5].tolist() == [5016 + g for g in order]


def test_a_cohort_without_an_oracle_has_none(tmp_path):
    assert read_oracle(tmp_path, COHORT) is None


def test_an_oracle_that_lacks_something_is_refused_without_naming_patients(tmp_path):
    _table().drop(columns="fa putamen right").to_csv(tmp_path / "oracle.csv")
    with pytest.raises(BadCohort, match="lacks 1 columns, first 'fa putamen right'"):
        read_oracle(tmp_path, COHORT)
    _table().iloc[1:].to_csv(tmp_path / "oracle.csv")
    with pytest.raises(BadCohort, match="lacks 1 patients") as caught:
        read_oracle(tmp_path, COHORT)
    assert "CANARY" not in str(caught.value)


def test_outputs_must_have_matching_shapes_and_be_finite():
    features, maps, stems, logits = np.zeros((3, 6, 5)), np.zeros((3, 6, 2)), np.zeros((3, 2)), np.zeros((3, 3))
    NetworkOutputs(features, maps, stems, logits)
    with pytest.raises(ValueError, match="same patients"):
        NetworkOutputs(features, maps, stems[:2], logits)
    with pytest.raises(ValueError, match="finite"):
        NetworkOutputs(features, maps, stems * np.nan, logits)
