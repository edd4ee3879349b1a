import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from lnc_dicom.study.attributes import attributes_of, frame_planes, real_world_mapping, slice_distance_mm
from lnc_dicom.study.read import read_study
from tests.enhanced import enhanced
from tests.factories import head, layout, write_series


def _series(folder, change=lambda dataset: None):
    write_series(folder, *layout(*head((12, 10, 8)), (2, 1, 0), (1, 1, 1)), change)
    return read_study([folder]).series[0]


def _enhanced(folder, order=None, change=lambda dataset: None):
    images = [pydicom.dcmread(i.path) for i in sorted(_series(folder).instances, key=lambda i: i.path)]
    whole = enhanced(images, order)
    change(whole)
    (folder / "enhanced").mkdir()
    whole.save_as(folder / "enhanced" / "image.dcm", enforce_file_format=True)
    return read_study([folder / "enhanced"]).series[0]


def test_single_frame_and_enhanced_images_of_one_head_have_the_same_planes(tmp_path):
    single = attributes_of(_series(tmp_path / "a"))
    multi = attributes_of(_enhanced(tmp_path / "b", order=[3, 0, 7, 1, 2, 4, 6, 5]))
    assert set(multi.planes) == set(single.planes)
    assert len(single.planes) == 8
    assert slice_distance_mm(multi) == pytest.approx(2.0)


def test_timing_of_enhanced_images_comes_from_their_functional_groups(tmp_path):
    def strip(dataset):
        for name in ("RepetitionTime", "EchoTime", "FlipAngle"):
            delattr(dataset, name)

    found = attributes_of(_enhanced(tmp_path, change=strip))
    assert (found.tr_ms, found.te_ms, found.flip_deg) == (2300, 2.98, 9)
    assert found.contrast == "T1"
    assert found.gradient_echo is True


def test_what_the_header_does_not_say_is_none(tmp_path):
    def strip(dataset):
        for name in ("RepetitionTime", "EchoTime", "FlipAngle", "InversionTime", "ScanningSequence"):
            if name in dataset:
                delattr(dataset, name)

    found = attributes_of(_series(tmp_path, strip))
    assert [found.tr_ms, found.te_ms, found.flip_deg, found.ti_ms, found.gradient_echo] == [None] * 5


@pytest.mark.parametrize(("sequence", "expected"), [("GR", True), (["GR", "IR"], True), ("SE", False)])
def test_the_scanning_sequence_says_whether_it_is_a_gradient_echo(tmp_path, sequence, expected):
    def change(dataset):
        dataset.ScanningSequence = sequence

    assert attributes_of(_series(tmp_path, change)).gradient_echo is expected


def test_words_come_from_every_description_in_lower_case(tmp_path):
    def change(dataset):
        dataset.SeriesDescription, dataset.ProtocolName, dataset.SequenceName = "T1-MPRAGE_sag", "Head (Gd)", "*tfl3d1"

    assert attributes_of(_series(tmp_path, change)).words >= {"t1", "mprage", "sag", "head", "gd", "tfl3d1"}


def test_the_distance_of_slices_survives_a_gap_and_a_duplicate(tmp_path):
    series = _series(tmp_path)
    found = attributes_of(series)
    planes = sorted(found.planes, key=lambda p: p.along_mm)
    damaged = tuple(p for i, p in enumerate(planes) if i != 3) + (planes[0],)
    assert slice_distance_mm(type(found)(**{**_fields(found), "planes": damaged})) == pytest.approx(2.0)


def _fields(found):
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


def test_an_image_without_position_has_no_plane(tmp_path):
    header = _series(tmp_path).header
    (plane,) = frame_planes(header)
    np.testing.assert_allclose(np.abs(plane.normal), [0, 0, 1], atol=1e-6)
    assert plane.along_mm == pytest.approx(float(plane.normal @ np.array(header.ImagePositionPatient, float)))
    del header.ImagePositionPatient
    assert frame_planes(header) == ()


def test_the_real_world_mapping_is_found_in_the_image_the_shared_groups_and_the_first_frame():
    def holder(label):
        inner, outer = Dataset(), Dataset()
        inner.LUTLabel = label
        outer.RealWorldValueMappingSequence = [inner]
        return outer

    shared, frames = Dataset(), Dataset()
    shared.SharedFunctionalGroupsSequence = [holder("shared")]
    frames.PerFrameFunctionalGroupsSequence = [holder("first"), holder("second")]
    assert real_world_mapping(holder("image")).LUTLabel == "image"
    assert real_world_mapping(shared).LUTLabel == "shared"
    assert real_world_mapping(frames).LUTLabel == "first"
    assert not real_world_mapping(Dataset())
