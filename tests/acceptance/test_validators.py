"""Validators and readers of others, and our own check: silent about what we write, loud about what is broken."""

import copy

import pydicom
import pytest

from lnc_service.validate.main import validate
from lnc_service.validate.messages import Severity
from tests.broken_objects import BROKEN_SEG, BROKEN_SR, OWN, written

STUDIES = ("philips-ingenia-3t", "siemens-prisma-3t", "siemens-xa30-enhanced")
"""Two classic, one enhanced; every object kind of each."""
INSTALLED = ("dciodvfy", "dcentvfy", "dsrdump", "segimage2itkimage", "tid1500reader")


@pytest.fixture
def validators(program):
    for name in INSTALLED:
        program(name)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.usefixtures("validators")
def test_no_validator_says_anything_new_about_any_object_of_a_real_study(study, process_once):
    _, out, result = process_once(study)
    files = sorted(out.glob("*.dcm"))
    assert {f.name for f in files} == {o["file"] for o in result["objects"]}
    findings = validate(files)
    said = [
        (f.file and f.file.name, f.program, m) for f in findings for m in f.messages if m.severity is not Severity.KNOWN
    ]
    assert said == []
    asked = {f.program for f in findings if not f.not_run}
    assert asked >= {OWN, *INSTALLED}


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return written(tmp_path_factory.mktemp("study"))


def _cases():
    for file, cases in (("segmentation.dcm", BROKEN_SEG), ("measurements.dcm", BROKEN_SR)):
        for breaks, own, others in cases:
            yield pytest.param(file, breaks, {*others, *([OWN] if own else [])}, id=breaks.__name__)


@pytest.mark.parametrize(("file", "breaks", "catchers"), _cases())
@pytest.mark.usefixtures("validators")
def test_what_is_broken_is_caught_by_name(objects, tmp_path, monkeypatch, file, breaks, catchers):
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    datasets = dict(objects)
    datasets[file] = copy.deepcopy(objects[file])
    breaks(datasets[file])
    for name, dataset in datasets.items():
        dataset.save_as(tmp_path / name)
    files = [tmp_path / file, *(tmp_path / name for name in datasets if name != file)]
    findings = validate(files)
    assert {f.program for f in findings if not f.clean and f.file in {None, tmp_path / file}} == catchers


@pytest.mark.usefixtures("validators")
def test_objects_that_contradict_each_other_are_caught(objects, tmp_path):
    for name, dataset in objects.items():
        changed = copy.deepcopy(dataset)
        if name == "summary.dcm":
            changed.StudyID = "another"
        changed.save_as(tmp_path / name)
    (together,) = (f for f in validate(sorted(tmp_path.glob("*.dcm"))) if f.file is None)
    assert (together.program, together.clean) == ("dcentvfy", False)
