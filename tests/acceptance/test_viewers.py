"""What viewers and readers show of the results of a real head; OHIF in a browser where `make viewers` put it."""

import json
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.pixels import pack_bits, unpack_bits
from pydicom.uid import generate_uid

from conformance.viewers.archive import DICOMWEB_PLUGIN, running_archive
from conformance.viewers.browser import missing, open_study
from conformance.viewers.check import HEADS
from conformance.viewers.position import wrong_overlays
from conformance.viewers.readers import (
    by_cornerstone,
    cornerstone_installed,
    empty_previews,
    numbers_of,
    unreadable_in_html,
)
from lnc_dicom.anatomy import STRUCTURES

HEAD = "siemens-xa30-enhanced"
SHIFT = 5


@pytest.fixture(scope="module")
def results(process_once):
    _, out, _ = process_once(HEAD)
    return out


@pytest.fixture(scope="module")
def sources(data):
    return sorted((data / HEAD).glob(HEADS[HEAD]))


@pytest.fixture(scope="module")
def ohif(results, sources, tmp_path_factory):
    """Output of the browser and its report, by kind of object: the study opened once."""
    absent = missing()
    if absent:
        pytest.skip(absent)
    out = tmp_path_factory.mktemp("ohif")
    with running_archive(out / "archive") as archive:
        archive.store([*sources, *results.glob("*.dcm")])
        uid = pydicom.dcmread(sources[0], stop_before_pixels=True).StudyInstanceUID
        report = open_study(archive, uid, out / "view", kinds=("SEG", "SR", "SC"))
    return out / "view", {found["kind"]: found for found in report["objects"]}


def test_ohif_lists_every_segment_with_its_side_and_its_colour(ohif):
    _, found = ohif
    seg = found["SEG"]
    assert seg["labels_shown"] == [s.title for s in STRUCTURES]
    assert seg["colours_wrong"] == []
    assert seg["status"] == "shown", seg.get("why")


def test_ohif_draws_every_segment_where_it_is_in_its_colour(ohif, results, sources):
    out, _ = ohif
    assert wrong_overlays(out, results / "segmentation.dcm", sources) == []


def test_a_segmentation_drawn_five_pixels_beside_its_place_is_noticed(ohif, results, sources, tmp_path):
    out, _ = ohif
    _rewrite_pixels(results / "segmentation.dcm", tmp_path / "s.dcm", lambda frames: np.roll(frames, SHIFT, axis=2))
    assert wrong_overlays(out, tmp_path / "s.dcm", sources)


def test_a_segmentation_with_two_structures_exchanged_is_noticed(ohif, results, sources, tmp_path):
    out, _ = ohif
    dataset = pydicom.dcmread(results / "segmentation.dcm")
    exchange = {1: 7, 7: 1}  # caudate and thalamus of one side: other labels over the same voxels
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        item = frame.SegmentIdentificationSequence[0]
        item.ReferencedSegmentNumber = exchange.get(item.ReferencedSegmentNumber, item.ReferencedSegmentNumber)
    dataset.save_as(tmp_path / "s.dcm")
    assert any("colour" in line or "without it" in line for line in wrong_overlays(out, tmp_path / "s.dcm", sources))


def _rewrite_pixels(path, to, change):
    dataset = pydicom.dcmread(path)
    shape = (dataset.NumberOfFrames, dataset.Rows, dataset.Columns)
    frames = unpack_bits(dataset.PixelData)[: int(np.prod(shape))].reshape(shape)
    dataset.PixelData = pack_bits(change(frames).ravel())
    dataset.save_as(to)


def test_every_number_of_the_report_can_be_read_in_ohif(ohif):
    _, found = ohif
    assert found["SR"]["values_missing"] == []
    assert found["SR"]["values_expected"] >= len(STRUCTURES)


def test_no_number_of_the_report_is_covered_by_another_text_in_ohif(ohif):
    _, found = ohif
    assert found["SR"]["values_covered"] == []


def test_ohif_shows_the_summary_page(ohif):
    _, found = ohif
    assert found["SC"]["status"] == "shown"


def test_a_report_without_coordinates_stays_black_and_is_noticed(results, sources, tmp_path):
    absent = missing()
    if absent:
        pytest.skip(absent)
    dataset = pydicom.dcmread(results / "measurements.dcm")
    _drop_coordinates(dataset)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.save_as(tmp_path / "black.dcm")
    with running_archive(tmp_path / "archive") as archive:
        archive.store([*sources, results / "segmentation.dcm", tmp_path / "black.dcm"])
        report = open_study(archive, dataset.StudyInstanceUID, tmp_path / "view", kinds=("SR",))
    (found,) = report["objects"]
    assert found["status"] == "not shown"
    assert found["blank_viewport"]


def _drop_coordinates(item):
    if "ContentSequence" in item:
        item.ContentSequence = [i for i in item.ContentSequence if not str(i.get("ValueType")).startswith("SCOORD")]
        for child in item.ContentSequence:
            _drop_coordinates(child)


@pytest.mark.parametrize("head", HEADS)
def test_cornerstone_reads_the_same_voxels_and_names(head, process_once, data, tmp_path):
    if not cornerstone_installed():
        pytest.skip("Cornerstone's adapters are not installed (make viewers)")
    _, out, _ = process_once(head)
    files = sorted(p for p in (data / head).glob(HEADS[head]) if p.is_file())
    theirs, ours = by_cornerstone(out / "segmentation.dcm", files, tmp_path)
    np.testing.assert_array_equal(theirs.labels, ours.labels)
    assert ours.labels.any()
    assert theirs.names == ours.names == {s.label: s.title for s in STRUCTURES}
    assert not theirs.overlapping
    voxels = hd.seg.segread(out / "segmentation.dcm").get_volume(combine_segments=True).array
    assert int((ours.labels > 0).sum()) == int((voxels > 0).sum())


def test_orthanc_previews_of_results_are_not_empty(results, sources, program, tmp_path):
    program("Orthanc")
    if not DICOMWEB_PLUGIN.is_file():
        pytest.skip("orthanc-dicomweb is not installed (make viewers)")
    with running_archive(tmp_path / "archive") as archive:
        archive.store([*sources, *results.glob("*.dcm")])
        assert empty_previews(archive) == []


def test_dsr2html_prints_every_number_after_its_name(results, program):
    program("dsr2html")
    assert unreadable_in_html(results / "measurements.dcm") == []


def test_a_report_of_running_text_loses_its_names_in_dsr2html(results, program, tmp_path):
    program("dsr2html")
    dataset = pydicom.dcmread(results / "measurements.dcm")
    for container in dataset.ContentSequence:
        if container.ValueType == "CONTAINER":
            _continue(container)
    dataset.save_as(tmp_path / "continuous.dcm")
    assert unreadable_in_html(tmp_path / "continuous.dcm") != []


def _continue(item):
    if "ContinuityOfContent" in item:
        item.ContinuityOfContent = "CONTINUOUS"
    for child in item.get("ContentSequence", []):
        _continue(child)


def test_dcmqi_reads_every_number_of_the_report(results, program, tmp_path):
    command = [program("tid1500reader"), "--inputDICOM", results / "measurements.dcm"]
    subprocess.run([*command, "--outputMetadata", tmp_path / "sr.json"], check=True, capture_output=True)
    groups = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    items = [item for group in groups for item in group["measurementItems"]]
    theirs = [(i["quantity"]["CodeMeaning"], float(i["value"])) for i in items]
    theirs += [
        (p["numProperty"]["CodeMeaning"], float(p["numPropertyValue"]))
        for i in items
        for p in i.get("measurementNumProperties", [])
    ]
    library = {s.CodeMeaning for s in _library_names(pydicom.dcmread(results / "measurements.dcm"))}
    ours = [(n, float(v)) for n, v, _ in numbers_of(results / "measurements.dcm") if n not in library]
    assert sorted(theirs) == sorted(ours)


def _library_names(item, *, inside=False):
    """Names of the numbers of the image library: what the source is, not what was measured."""
    for child in item.get("ContentSequence", []):
        name = child.ConceptNameCodeSequence[0] if "ConceptNameCodeSequence" in child else None
        within = inside or (name is not None and name.CodeValue == "111028")
        if within and child.ValueType == "NUM":
            yield name
        yield from _library_names(child, inside=within)
