import numpy as np
import pydicom
import pytest

from lnc_dicom.simulate.dicom import write_study
from lnc_dicom.study.load import load
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import select


@pytest.fixture(scope="module")
def folder(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("simulated")
    write_study(folder, images, 7, 0, 61.0, male=True)
    return folder


def test_the_t1_is_selected_and_read_back_unchanged(folder, images):
    volume, _ = load(select(read_study([folder])).chosen)
    back = volume.to_patient_orientation("LPS")
    np.testing.assert_allclose(back.affine, images.t1.affine, atol=1e-4)
    np.testing.assert_allclose(back.array, images.t1.array, atol=0.51)


def test_the_maps_carry_their_unit_and_quantity(folder, images):
    for name, quantity, unit in (("fa", "110808", "1"), ("cbf", "126390", "ml/[100]g/min")):
        image = pydicom.dcmread(folder / name / "0020.dcm")
        mapping = image.RealWorldValueMappingSequence[0]
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
        assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == quantity
        real = image.pixel_array * mapping.RealWorldValueSlope
        assert real.max() <= getattr(images, name).array.max() + 0.01


def test_every_object_passes_the_validator(folder, program):
    import subprocess

    dciodvfy = program("dciodvfy")
    for name in ("t1", "fa", "cbf"):
        found = subprocess.run([dciodvfy, folder / name / "0001.dcm"], capture_output=True, text=True, check=False)
        assert "Error" not in found.stderr + found.stdout


def test_a_simulated_patient_is_marked_as_simulated(folder):
    header = pydicom.dcmread(folder / "t1" / "0001.dcm", stop_before_pixels=True)
    assert "SIMULATED" in header.SeriesDescription
    assert header.PatientID.startswith("SIM-")
