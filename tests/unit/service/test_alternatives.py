import subprocess

import highdicom as hd
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, SegmentationStorage

from lnc_dicom.validate import check_object
from lnc_service.alternatives import NoAlternativeError, alternative_to, alternative_uid

LABEL_MAP, SR, SEG = "labelmap.dcm", "measurements.dcm", "segmentation.dcm"


@pytest.fixture
def alone(results, tmp_path):
    """Give a file of the results in a folder of its own: nothing beside it shows the same."""

    def copy(name):
        (tmp_path / name).write_bytes((results / name).read_bytes())
        return tmp_path / name, pydicom.dcmread(tmp_path / name)

    return copy


def test_a_label_map_has_the_voxels_and_the_segments_of_the_binary_segmentation(alone, results, tmp_path):
    alternative_to(*alone(LABEL_MAP)).save_as(tmp_path / "binary.dcm", enforce_file_format=True)
    found, expected = hd.seg.segread(tmp_path / "binary.dcm"), hd.seg.segread(results / SEG)
    assert (found.SOPClassUID, found.SegmentationType) == (SegmentationStorage, "BINARY")
    voxels, as_expected = (seg.get_volume(combine_segments=True) for seg in (found, expected))
    assert (voxels.array == as_expected.array).all()
    assert voxels.affine == pytest.approx(as_expected.affine)
    assert [s.to_json() for s in found.SegmentSequence] == [s.to_json() for s in expected.SegmentSequence]


def test_a_label_map_of_one_frame_and_one_without_any_voxel_have_a_frame(alone):
    file, dataset = alone(LABEL_MAP)
    dataset.decompress(generate_instance_uid=False)
    dataset.PixelData = bytes(len(dataset.PixelData))
    assert alternative_to(file, dataset).NumberOfFrames == 1
    dataset.NumberOfFrames = 1
    dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[:1]
    dataset.PixelData = bytes([3]) * (dataset.Rows * dataset.Columns)
    one = alternative_to(file, dataset)
    assert one.NumberOfFrames == 1
    assert one.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber == 3
    assert one.pixel_array.all()


def test_where_the_binary_segmentation_was_made_it_is_sent_and_no_second_one(results):
    found = alternative_to(results / LABEL_MAP, pydicom.dcmread(results / LABEL_MAP))
    assert found.SOPInstanceUID == pydicom.dcmread(results / SEG).SOPInstanceUID


def test_a_document_keeps_its_content_under_another_class_and_uid(alone):
    file, dataset = alone(SR)
    found = alternative_to(file, dataset)
    assert (found.SOPClassUID, found.file_meta.MediaStorageSOPClassUID) == (ComprehensiveSRStorage,) * 2
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID == alternative_uid(dataset.SOPInstanceUID)
    assert found.ContentSequence == dataset.ContentSequence
    assert dataset.SOPClassUID == Comprehensive3DSRStorage


def test_a_document_names_its_predecessor_as_the_destination_knows_it(alone):
    file, dataset = alone(SR)
    study, series, item = Dataset(), Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = Comprehensive3DSRStorage, "1.2.3"
    series.ReferencedSOPSequence, study.ReferencedSeriesSequence = [item], [series]
    dataset.PredecessorDocumentsSequence = [study]
    (named,) = (
        alternative_to(file, dataset)
        .PredecessorDocumentsSequence[0]
        .ReferencedSeriesSequence[0]["ReferencedSOPSequence"]
        .value
    )
    assert (named.ReferencedSOPClassUID, named.ReferencedSOPInstanceUID) == (
        ComprehensiveSRStorage,
        alternative_uid("1.2.3"),
    )


def test_a_document_with_3d_coordinates_has_no_other_form(alone):
    file, dataset = alone(SR)
    point = Dataset()
    point.ValueType, point.RelationshipType = "SCOORD3D", "CONTAINS"
    point.ConceptNameCodeSequence = dataset.ConceptNameCodeSequence
    dataset.ContentSequence[-1].ContentSequence.append(point)
    with pytest.raises(NoAlternativeError, match="3D coordinates"):
        alternative_to(file, dataset)


def test_an_object_that_cannot_be_converted_is_no_defect_of_the_delivery(alone):
    file, dataset = alone(LABEL_MAP)
    del dataset.PerFrameFunctionalGroupsSequence
    with pytest.raises(NoAlternativeError, match="could not be converted"):
        alternative_to(file, dataset)


@pytest.mark.parametrize(
    ("name", "beside"), [("map-saliency.dcm", True), ("map-saliency.dcm", False), ("map-fa.dcm", True)]
)
def test_a_map_is_replaced_by_the_page_that_shows_it_and_by_nothing_else(alone, tmp_path, name, beside):
    file, dataset = alone(SR)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.30"
    if beside:
        file.rename(tmp_path / "saliency.dcm")
    if beside and name == "map-saliency.dcm":
        assert alternative_to(tmp_path / name, dataset).SOPInstanceUID == dataset.SOPInstanceUID
    else:
        with pytest.raises(NoAlternativeError):
            alternative_to(tmp_path / name, dataset)


@pytest.mark.parametrize("name", [LABEL_MAP, SR])
def test_the_same_object_always_becomes_the_same_other_one(alone, name, tmp_path):
    for copy in ("a", "b"):
        alternative_to(*alone(name)).save_as(tmp_path / copy, enforce_file_format=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("name", [LABEL_MAP, SR])
def test_other_forms_pass_our_check_and_dciodvfy(alone, name, tmp_path, program):
    found = alternative_to(*alone(name))
    assert check_object(found) == []
    found.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    done = subprocess.run([program("dciodvfy"), tmp_path / "other.dcm"], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
