"""Headers that break the rules: objects of ours stay valid, a caveat says what was repaired, nothing is invented."""

import io
import subprocess

import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom.config import settings
from pydicom.uid import generate_uid

from lnc_dicom.pipeline import process
from lnc_dicom.report import REPAIRED
from lnc_dicom.study.header_repair import TYPE_2, repair
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from tests.factories import NOW, BoxSegmenter, head, write_series

NAMES = {
    "Latin": ("ISO_IR 100", "Müller-Lüdenscheidt^Björn^^Dr.^jun."),
    "Greek": ("ISO_IR 126", "Διονυσιος"),
    "Cyrillic": ("ISO_IR 144", "Люкceмбypг"),  # noqa: RUF001 - the standard's own example
    "Arabic": ("ISO_IR 127", "قباني^لنزار"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "Chinese": ("GB18030", "Wang^XiaoDong=王^小东="),
    "Unicode": ("ISO_IR 192", "Wang^XiaoDong=王^小東="),
}


def _process(folder, change):
    """Write a study whose every image is changed, and measure it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "writing_validation_mode", pydicom.config.IGNORE)
        write_series(folder, *head((40, 42, 84), (1.9, 1.9, 1.9)), change=change)
    return process(read_study([folder]), Tools(BoxSegmenter(), NOW))


def _repairs(report):
    return [c.text for c in report.caveats if c.code == REPAIRED]


def _datasets(objects):
    return [pydicom.dcmread(io.BytesIO(o.data)) for o in objects]


def _check_valid(objects, folder, program):
    for item in objects:
        path = folder / item.name
        path.write_bytes(item.data)
        done = subprocess.run([program("dciodvfy"), path], capture_output=True, text=True, check=False)
        assert "Error" not in done.stdout + done.stderr, (item.name, done.stderr)


def _element(keyword, vr, value):
    def change(dataset):
        dataset[keyword] = DataElement(pydicom.tag.Tag(keyword), vr, value)

    return change


def _without(*names):
    def change(dataset):
        for name in names:
            delattr(dataset, name)

    return change


def _odd_sequence(dataset):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "X" * 40, "99X", "odd"
    dataset.ProcedureCodeSequence = [item]


def _private(dataset):
    dataset.add_new(0x00091001, "UN", b"\x00\x01odd")
    dataset.add_new(0x00100011, "LO", "no creator of anything")
    dataset.add_new(0x00131010, "LO", "A private patient^")


FAULTS = {
    "a name of five groups": (_element("PatientName", "PN", "A^B^C^D^E^F^G=H=I=J=K"), ["PatientName not valid"]),
    "a name of 100 characters": (_element("PatientName", "PN", "N" * 100), ["PatientName not valid"]),
    "type 2 attributes missing": (_without(*TYPE_2), [f"{name} missing" for name in TYPE_2]),
    "no accession number": (_without("AccessionNumber"), ["AccessionNumber missing"]),
    "an empty accession number": (_element("AccessionNumber", "SH", ""), []),
    "a name of the wrong VR": (_element("PatientName", "LO", "LO^NAME"), ["PatientName of VR LO, written as PN"]),
    "a date of the wrong VR": (_element("StudyDate", "LO", "2nd of May"), ["StudyDate not valid"]),
    "a sequence of the wrong VR": (_element("ProcedureCodeSequence", "LO", "x"), ["ProcedureCodeSequence not valid"]),
    "a text that is a sequence": (_element("StudyDescription", "SQ", []), ["StudyDescription of another VR"]),
    "a code that is too long": (_odd_sequence, ["ProcedureCodeSequence not valid"]),
    "a description of 4000 characters": (
        _element("StudyDescription", "LO", "d" * 4000),
        ["StudyDescription truncated to 64"],
    ),
    "an identifier of 100 characters": (_element("PatientID", "LO", "1" * 100), ["PatientID not valid"]),
    "several accession numbers": (_element("AccessionNumber", "SH", ["A1", "A2"]), ["AccessionNumber with several"]),
    "dates that do not exist": (_element("PatientBirthDate", "DA", "19991399"), ["PatientBirthDate not valid"]),
    "dates with dots": (_element("StudyDate", "DA", "02.05.2026"), ["StudyDate not valid"]),
    "a time that does not exist": (_element("StudyTime", "TM", "99:99"), ["StudyTime not valid"]),
    "an age without a unit": (_element("PatientAge", "AS", "47"), ["PatientAge not valid"]),
    "a sex that is no code": (_element("PatientSex", "CS", "MALE"), ["PatientSex not valid"]),
    "a weight that is no number": (_element("PatientWeight", "LO", "heavy"), ["PatientWeight not valid"]),
    "no frame of reference": (_without("FrameOfReferenceUID"), ["FrameOfReferenceUID missing"]),
    "control characters": (_element("StudyDescription", "LO", "head\x00\x07"), ["StudyDescription not valid"]),
    "private tags that nobody knows": (_private, []),
    "an unknown character set": (_element("SpecificCharacterSet", "CS", "ISO_IR 999"), []),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_objects_stay_valid_and_every_repair_is_a_caveat(fault, tmp_path, program):
    change, expected = FAULTS[fault]
    report, objects = _process(tmp_path / "study", change)
    found = _repairs(report)
    assert len(found) == len(expected), found
    for text, start in zip(sorted(found), sorted(expected), strict=True):
        assert text.startswith(f"header repaired: {start}")
    _check_valid(objects, tmp_path, program)


@pytest.mark.parametrize("script", NAMES)
def test_patient_names_of_every_script_are_kept(script, tmp_path, program):
    charset, name = NAMES[script]

    def change(dataset):
        dataset.SpecificCharacterSet, dataset.PatientName = charset, name
        dataset.StudyDescription = "Kopf" if isinstance(charset, list) else name.split("^")[0].split("=")[0]

    report, objects = _process(tmp_path / "study", change)
    assert _repairs(report) == []
    for dataset in _datasets(objects):
        assert str(dataset.PatientName) == name.rstrip("=")
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
    _check_valid(objects, tmp_path, program)


def test_nothing_is_invented(tmp_path):
    _, objects = _process(tmp_path, _without(*TYPE_2))
    for dataset in _datasets(objects):
        for name in TYPE_2:
            assert dataset[name].is_empty, name


def test_caveats_contain_no_value(tmp_path):
    def change(dataset):
        dataset.PatientName, dataset.PatientSex, dataset.StudyDate = "CANARY^" * 7, "CANARY", "CANARY"
        dataset.StudyDescription = "CANARY" * 20

    report, _ = _process(tmp_path, change)
    assert len(_repairs(report)) == 4
    assert "CANARY" not in repr(report.caveats)


def test_a_frame_of_reference_of_some_images_becomes_that_of_all():
    sources = [Dataset(), Dataset()]
    for source in sources:
        source.SeriesInstanceUID = "1.2.3"
    sources[1].FrameOfReferenceUID = "1.2.4"
    repair(sources)
    assert {source.FrameOfReferenceUID for source in sources} == {"1.2.4"}


def test_a_missing_frame_of_reference_is_derived_from_the_series():
    made = []
    for _ in range(2):
        source = Dataset()
        source.SeriesInstanceUID = "1.2.3"
        repair([source])
        made.append(source.FrameOfReferenceUID)
    assert made[0] == made[1] != ""


def test_objects_that_share_a_uid_are_named_and_the_first_is_used(tmp_path):
    paths = write_series(tmp_path)
    double = pydicom.dcmread(paths[3])
    double.ImagePositionPatient = [0, 0, 999]
    double.save_as(tmp_path / "zz.dcm")
    (tmp_path / "same.dcm").write_bytes(paths[4].read_bytes())
    study = read_study([tmp_path])
    assert [c.text for c in study.caveats] == ["1 object shares its SOP Instance UID with a different one; not used"]
    report, _ = process(study, Tools(BoxSegmenter(), NOW))
    assert study.caveats[0] in report.caveats
    assert generate_uid() not in repr(report.caveats)
