import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from lnc_dicom.cli.main import app
from lnc_dicom.provenance import software_version

RUN = CliRunner()


def test_the_version_names_code_and_models():
    shown = RUN.invoke(app, ["--version"]).output
    assert f"lnc-dicom {software_version()}" in shown
    assert re.search(r"^lnc-deep-grey \d+\.\d+\.\d+$", shown, re.MULTILINE)
    assert re.search(r"^lnc-biomarker \d+\.\d+\.\d+$", shown, re.MULTILINE)


def test_a_path_that_does_not_exist_is_a_usage_error(tmp_path):
    done = RUN.invoke(app, ["process", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "LNC-002" in done.output


def test_an_unknown_kind_of_object_is_refused_before_anything_is_read(tmp_path):
    done = RUN.invoke(app, ["process", str(tmp_path), "--out", str(tmp_path / "out"), "--objects", "seg,hologram"])
    assert done.exit_code == 2
    assert "labelmap" in done.output
    assert not (tmp_path / "out").exists()


def test_images_without_their_labels_are_refused_before_training(tmp_path):
    places = ["--label-maps", str(tmp_path), "--out", str(tmp_path / "out"), "--images", str(tmp_path)]
    done = RUN.invoke(app, ["train", "segmentation", *places])
    assert done.exit_code == 2
    assert "--image-labels" in done.output
    assert not (tmp_path / "out").exists()


def test_an_unknown_label_protocol_is_refused_with_the_known_ones(tmp_path):
    places = ["--images", str(tmp_path), "--labels", str(tmp_path), "--out", str(tmp_path / "out")]
    done = RUN.invoke(app, ["evaluate", "segmentation", *places, "--protocol", "aal"])
    assert done.exit_code == 2
    assert "freesurfer, mage, xiao, jhu" in done.output


@pytest.mark.parametrize("command", ["process", "segment", "train", "evaluate", "simulate", "explain"])
def test_every_command_explains_itself(command):
    assert RUN.invoke(app, [command, "--help"]).exit_code == 0


def test_help_loads_no_torch():
    script = "import sys, lnc_dicom.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
