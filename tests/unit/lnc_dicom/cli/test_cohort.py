from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from lnc_dicom.cli.cohort import is_simulated
from lnc_dicom.cli.main import app
from lnc_dicom.segment import load
from tests.factories import BoxSegmenter, head, layout, write_series


class NoNuclei(BoxSegmenter):
    """Finds nothing in a head, so that every structure fails its gates."""

    def __call__(self, volume, /):
        found = super().__call__(volume)
        return replace(found, labels=found.labels.with_array(np.zeros(volume.shape, np.uint8)))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_series(folder, *layout(*head(), (2, 1, 0), (1, 1, 1)))
    return folder


@pytest.fixture
def explain(monkeypatch, tmp_path, study):
    """`lnc explain` on one study, with a segmenter that needs no network; gives the exit code and the files."""

    def run(segmenter, *options):
        monkeypatch.setattr(load, "load_segmenter", lambda: segmenter)
        done = CliRunner().invoke(app, ["explain", str(study), "--out", str(tmp_path / "out"), *options])
        return done.exit_code, {p.name for p in (tmp_path / "out").iterdir()}

    return run


def test_a_study_that_fails_the_gates_gets_no_saliency_maps(explain):
    assert explain(NoNuclei()) == (3, set())


def test_a_demonstration_model_writes_no_saliency_map_of_the_disease(explain):
    code, files = explain(BoxSegmenter())
    assert code == 0
    assert files == {"saliency.png", "saliency_fa.nii.gz", "saliency_cbf.nii.gz", "saliency_stems.nii.gz"}


def test_a_site_may_switch_the_disease_on(explain, tmp_path):
    (tmp_path / "lnc.toml").write_text("[biomarker]\ndemonstration_disease = true\n")
    code, files = explain(BoxSegmenter(), "--config", str(tmp_path / "lnc.toml"))
    assert code == 0
    assert "saliency_disease.nii.gz" in files


def test_a_cohort_is_simulated_if_its_plan_says_so(tmp_path):
    assert not is_simulated(tmp_path)
    (tmp_path / "plan.json").write_text('{"simulated": true}')
    assert is_simulated(tmp_path)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["train", "biomarker", "--simulated-subjects", "5"], "--simulated-subjects needs the label maps"),
        (["train", "biomarker", "--regions", "cortex"], "unknown region cortex"),
        (["evaluate", "biomarker", "--network", "warm"], "must be 'frozen' or 'retrained'"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(tmp_path, command, said):
    done = CliRunner().invoke(app, [*command, "--cohort", str(tmp_path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert said in done.stderr
