import tomllib
from pathlib import Path

from lnc_dicom.predictions import Model
from lnc_dicom.provenance import algorithm_of, software_version


def test_the_version_is_the_one_of_the_project_file():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert software_version() == project["project"]["version"]


def test_the_algorithm_is_the_model_with_its_version_and_ours():
    assert algorithm_of(Model("boxes", "3", "digest")) == ("boxes", f"3; lnc-dicom {software_version()}")
