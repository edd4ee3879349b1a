"""The report in the layout that viewers of SR can draw."""

import dataclasses
import io

import highdicom as hd
import pydicom
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode import encode
from lnc_dicom.measure.gates import PROBABILITY, STUDY_GATES
from lnc_dicom.measure.volumetry import asymmetry
from lnc_dicom.pipeline import process
from lnc_dicom.quantities import Quantity
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from lnc_dicom.types import Confidence, Statistic
from tests.factories import NOW, BoxSegmenter, write_series
from tests.unit.lnc_dicom.encode.oracle import Oracle

LINES_THAT_OHIF_DRAWS = 5


class Failing(BoxSegmenter):
    """Doubts the left putamen and does not see the left accumbens."""

    def __call__(self, volume):
        found = super().__call__(volume)
        array = found.labels.array.copy()
        array[array == 9] = 0
        return dataclasses.replace(
            found,
            labels=found.labels.with_array(array),
            confidence=found.confidence | {3: Confidence(0.2, volume_error=0.1)},
        )


@pytest.fixture(scope="module", params=[BoxSegmenter, Failing])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_series(folder)
    report, objects = process(read_study([folder]), Tools(request.param(), NOW, predictor=Oracle()))
    return report, pydicom.dcmread(io.BytesIO(objects[1].data)), objects


def _code(item):
    return item.ConceptNameCodeSequence[0].CodeValue


def _groups(document):
    (measurements,) = (item for item in document.ContentSequence if _code(item) == "126010")
    return list(measurements.ContentSequence)


def _by_tracking_uid(document):
    """Merge groups as OHIF 3.13 does (`_getMergedContentSequencesByTrackingUniqueIdentifiers`)."""
    merged = {}
    for group in _groups(document):
        (uid,) = (item.UID for item in group.ContentSequence if _code(item) == "112040")
        merged.setdefault(uid, []).extend(group.ContentSequence)
    return merged


def _numbers(items):
    return [item for item in items if item.ValueType == "NUM"]


def test_no_tracking_uid_is_without_coordinates(made):
    _, document, _ = made
    for items in _by_tracking_uid(document).values():
        if not any(item.ValueType == "SCOORD" for item in items):
            assert _numbers(items)
            for number in _numbers(items):
                assert [c.ValueType for c in number.ContentSequence].count("SCOORD") == 1


def test_every_number_and_the_name_of_its_topic_fit_into_the_lines_that_ohif_draws(made):
    _, document, _ = made
    _assert_all_lines_are_drawn(document)


def _assert_all_lines_are_drawn(document):
    for items in _by_tracking_uid(document).values():
        comments = [item for item in items if item.ValueType == "TEXT" and _code(item) == "121106"]
        is_structure = any(item.ValueType == "SCOORD" for item in items)  # then OHIF names the finding site
        assert len(_numbers(items)) + max(len(comments), is_structure) <= LINES_THAT_OHIF_DRAWS


def test_four_measured_numbers_leave_a_line_for_the_name(made):
    report, *_ = made
    three = {quantity: Statistic(0.5, 0.1, 0.5, 20) for quantity in Quantity}
    measured = tuple(dataclasses.replace(m, statistics=three if m.passed else {}) for m in report.measurements)
    objects = encode(dataclasses.replace(report, measurements=measured), NOW)
    document = pydicom.dcmread(io.BytesIO(objects[1].data))
    group = next(items for items in _by_tracking_uid(document).values() if any(i.ValueType == "SCOORD" for i in items))
    assert len(_numbers(group)) == 4
    _assert_all_lines_are_drawn(document)


def test_no_two_topics_are_shown_on_one_image(made):
    _, document, _ = made
    shown = []
    for items in _by_tracking_uid(document).values():
        regions = [item for item in items if item.ValueType == "SCOORD"]
        places = regions or [c for n in _numbers(items) for c in n.ContentSequence if c.ValueType == "SCOORD"]
        images = {c.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID for c in places}
        assert len(images) == 1
        shown += images
    assert len(set(shown)) == len(shown)


def test_every_structure_has_a_segment_group_and_one_with_coordinates(made):
    report, document, _ = made
    content = hd.sr.Comprehensive3DSR.from_dataset(document).content
    assert len(content.get_volumetric_roi_measurement_groups()) == len(STRUCTURES)
    planar = content.get_planar_roi_measurement_groups(graphic_type=hd.sr.GraphicTypeValues.POLYLINE)
    passed = [m.structure.title for m in report.measurements if m.passed]
    assert [group.tracking_identifier for group in planar] == passed
    for group in planar:
        (area,) = group.get_measurements()
        assert area.name.value == "42798000"
        assert area.unit.value == "mm2"
        assert group.finding_sites[0].laterality.meaning.lower() in group.tracking_identifier


def test_a_structure_that_failed_has_no_outline_but_the_number_of_its_gate(made):
    report, document, _ = made
    failed = [m for m in report.measurements if not m.passed]
    groups = hd.sr.Comprehensive3DSR.from_dataset(document).content.get_image_measurement_groups()
    by_title = {group.tracking_identifier: group for group in groups}
    assert not {m.structure.title for m in report.measurements if m.passed} & set(by_title)
    for m in failed:
        (number,) = by_title[m.structure.title].get_measurements()
        assert number.name.value == m.failure.code
        assert number.value == pytest.approx(m.failure.value)
    if failed:
        assert failed[0].failure.code == PROBABILITY.code


def test_asymmetry_of_every_pair_is_the_one_of_the_result(made):
    report, document, _ = made
    groups = hd.sr.Comprehensive3DSR.from_dataset(document).content.get_image_measurement_groups()
    found = {g.tracking_identifier: g for g in groups if "asymmetry" in g.tracking_identifier}
    rows = asymmetry(report.measurements)
    assert set(found) == {f"{row.name.capitalize()}, asymmetry" for row in rows}
    for row in rows:
        group = found[f"{row.name.capitalize()}, asymmetry"]
        (number,) = group.get_measurements()
        assert number.value == pytest.approx(row.volume, abs=1e-4)
        assert group.finding_sites[0].laterality.meaning == "Bilateral"


def test_quality_has_the_number_of_every_gate_and_whether_the_images_are_usable(made):
    report, document, _ = made
    groups = hd.sr.Comprehensive3DSR.from_dataset(document).content.get_image_measurement_groups()
    quality = [g for g in groups if g.tracking_identifier.startswith("Images, quality")]
    numbers = {m.name.value: m for g in quality for m in g.get_measurements()}
    assert set(numbers) == {gate.code for gate in STUDY_GATES}
    for check in report.checks:
        assert numbers[check.code].value == pytest.approx(check.value, abs=1e-4)
    assert numbers["LNC-504"].unit.value == "mm"
    assert numbers["LNC-508"].unit.value == "deg"
    usable = "111237" if all(m.passed for m in report.measurements) else "111236"
    for group in quality:
        assert [e.value.value for e in group.get_qualitative_evaluations()] == [usable]


def test_the_flags_say_that_nobody_has_reviewed_it(made):
    report, document, _ = made
    whole = all(m.passed for m in report.measurements)
    assert document.PreliminaryFlag == "PRELIMINARY"
    assert document.VerificationFlag == "UNVERIFIED"
    assert document.ContentQualification == "RESEARCH"
    assert document.CompletionFlag == ("COMPLETE" if whole else "PARTIAL")
    assert "not reviewed" in document.CompletionFlagDescription
    assert document.ContinuityOfContent == "SEPARATE"


def test_the_device_observer_is_the_contributing_equipment(made):
    _, document, _ = made
    (equipment,) = (item for item in document.ContributingEquipmentSequence if "DeviceUID" in item)
    items = {_code(item): item for item in document.ContentSequence}
    assert equipment.DeviceUID == items["121012"].UID
    assert items["121014"].TextValue == equipment.Manufacturer
    assert items["121015"].TextValue == equipment.ManufacturerModelName


def test_outside_programs_read_it_without_an_error(made, tmp_path, program):
    import subprocess

    _, _, objects = made
    path = tmp_path / "sr.dcm"
    path.write_bytes(objects[1].data)
    for command in (
        [program("dciodvfy"), path],
        [program("dsrdump"), path],
        [program("tid1500reader"), "--inputDICOM", path, "--outputMetadata", tmp_path / "sr.json"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Error" not in done.stdout + done.stderr, command[0]
        assert done.returncode == 0
