import csv
import json

import pytest

from lnc_dicom.cohort_table import read_table
from lnc_dicom.errors import UnusableInput
from lnc_dicom.simulate import oracle
from lnc_dicom.simulate.main import SimulationPlan, simulate
from lnc_dicom.simulate.subjects import CohortDesign


@pytest.fixture(scope="module")
def anatomy(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("anatomy")
    for name in ("training_seg_04.nii.gz", *(f"{n}.npy" for n in ("generation_labels", "prior_means_t1"))):
        (folder / name).symlink_to(data / "label-maps" / name)
    for name in ("generation_classes_contrast_specific.npy", "prior_stds_t1.npy"):
        (folder / name).symlink_to(data / "label-maps" / name)
    return folder


@pytest.fixture(scope="module")
def cohort(anatomy, tmp_path_factory):
    out, said = tmp_path_factory.mktemp("cohort"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "PEOPLE", 3000)
        simulate(anatomy, out, SimulationPlan(3, 11, CohortDesign()), said.append)
        assert said == ["patient 1 of 3", "patient 2 of 3", "patient 3 of 3"]
        said.clear()
        simulate(anatomy, out, SimulationPlan(3, 11, CohortDesign()), said.append)  # all there: nothing is made again
        assert said == []
    return out


def test_every_patient_has_a_folder_and_a_row(cohort):
    patients = read_table(cohort)
    assert len(patients) == 3
    assert len({p.group for p in patients}) == 3


def test_truth_and_oracle_have_a_row_per_patient(cohort):
    for name in ("truth.csv", "oracle.csv"):
        with (cohort / name).open() as file:
            assert [row["patient"] for row in csv.DictReader(file)] == ["sim-0001", "sim-0002", "sim-0003"]


def test_a_simulation_resumes_only_with_the_same_plan(anatomy, cohort):
    assert json.loads((cohort / "plan.json").read_text())["simulated"] is True
    with pytest.raises(UnusableInput, match="another simulated cohort"):
        simulate(anatomy, cohort, SimulationPlan(3, 12, CohortDesign()), print)
