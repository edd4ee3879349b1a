import dataclasses
import io

import highdicom as hd
import numpy as np
import pydicom
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.seg.binary import segmentation
from lnc_dicom.measure.gates import PROBABILITY
from lnc_dicom.pipeline import analyse, process
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from lnc_dicom.types import Confidence
from tests.factories import LAYOUTS, NOW, BoxSegmenter, head, layout, write_series


def _encode(folder):
    report, objects = process(read_study([folder]), Tools(BoxSegmenter(), NOW))
    return report, pydicom.dcmread(io.BytesIO(objects[0].data))


def _written(dataset):
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return buffer


def _by_attributes(seg):
    """Read a SEG as a viewer does: every frame at its own position, label by segment number → {mm: label}."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    axes = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    places = []
    for frame, pixels in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        rows, columns = np.nonzero(pixels)
        mm = position + np.outer(columns * spacing[1], axes[:3]) + np.outer(rows * spacing[0], axes[3:])
        places.append(np.column_stack([mm, np.full(len(mm), number)]))
    found = np.round(np.concatenate(places), 2) + 0.0
    return found[np.lexsort(found.T)]


def _expected(labels):
    index = np.argwhere(labels.array)
    mm = index @ labels.affine[:3, :3].T + labels.affine[:3, 3]
    found = np.round(np.column_stack([mm, labels.array[tuple(index.T)]]), 2) + 0.0
    return found[np.lexsort(found.T)]


@pytest.mark.slow
@pytest.mark.parametrize(("order", "signs"), LAYOUTS)
def test_every_voxel_is_where_it_was_measured_in_all_layouts(tmp_path, order, signs):
    array, lps_mm = head((40, 42, 84), (1.9, 1.9, 1.9))
    write_series(tmp_path, *layout(array, lps_mm, order, signs))
    report = analyse(read_study([tmp_path]), Tools(BoxSegmenter(), NOW))
    seg = pydicom.dcmread(_written(segmentation(report, Provenance(report, NOW))))
    np.testing.assert_allclose(_by_attributes(seg), _expected(report.segmented.labels), atol=0.011)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_series(folder, *head((80, 72, 90), (1.9, 1.9, 1.9)))
    return _encode(folder)


def test_the_labels_come_back_voxel_by_voxel_through_highdicom(encoded):
    report, seg = encoded
    volume = hd.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)
    labels = report.segmented.labels
    np.testing.assert_array_equal(volume.match_geometry(labels).array, labels.array)


def test_it_is_binary_native_and_refers_to_its_source(encoded):
    report, seg = encoded
    assert seg.SegmentationType == "BINARY"
    assert seg.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == report.selection.chosen.uid
    assert seg.FrameOfReferenceUID == report.sources[0].FrameOfReferenceUID
    assert all("DerivationImageSequence" in frame for frame in seg.PerFrameFunctionalGroupsSequence)


def test_it_names_the_first_image_and_those_from_the_first_to_the_last_with_a_structure(encoded):
    report, seg = encoded
    named = {item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    used = {
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for frame in seg.PerFrameFunctionalGroupsSequence
    }
    assert used <= named
    labels = report.segmented.labels
    held = np.flatnonzero(labels.array.any(axis=(1, 2)))
    slices = {
        source.SOPInstanceUID: round(
            labels.map_reference_to_indices(np.array([source.ImagePositionPatient], float))[0][0]
        )
        for source in report.sources
    }
    between = {uid for uid, k in slices.items() if held[0] <= k <= held[-1]}
    assert named == between | {report.sources[0].SOPInstanceUID}
    assert len(named) < len(report.sources)


def test_every_segment_has_label_side_colour_and_tracking(encoded):
    _, seg = encoded
    assert [s.SegmentNumber for s in seg.SegmentSequence] == [s.label for s in STRUCTURES]
    for segment, structure in zip(seg.SegmentSequence, STRUCTURES, strict=True):
        assert segment.SegmentLabel == structure.title
        modifier = segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
        assert modifier.CodeMeaning.lower() == structure.side.value
        assert len(segment.RecommendedDisplayCIELabValue) == 3
        assert segment.TrackingUID
        assert segment.SegmentAlgorithmType == "AUTOMATIC"


def test_a_structure_that_was_not_found_is_still_described(tmp_path):
    class Without(BoxSegmenter):
        def __call__(self, volume):
            found = super().__call__(volume)
            array = found.labels.array.copy()
            array[array == 9] = 0
            return dataclasses.replace(found, labels=found.labels.with_array(array))

    write_series(tmp_path, *head((80, 72, 90), (1.9, 1.9, 1.9)))
    report, objects = process(read_study([tmp_path]), Tools(Without(), NOW))
    seg = pydicom.dcmread(io.BytesIO(objects[0].data))
    assert len(seg.SegmentSequence) == len(STRUCTURES)
    numbers = {f.SegmentIdentificationSequence[0].ReferencedSegmentNumber for f in seg.PerFrameFunctionalGroupsSequence}
    assert numbers == {s.label for s in STRUCTURES} - {9}
    assert any("Accumbens, left" in c.text for c in report.caveats)


def test_a_structure_that_failed_is_empty_and_says_why(tmp_path):
    class Unsure(BoxSegmenter):
        def __call__(self, volume):
            found = super().__call__(volume)
            return dataclasses.replace(found, confidence=found.confidence | {3: Confidence(0.2)})

    write_series(tmp_path, *head((80, 72, 90), (1.9, 1.9, 1.9)))
    report, objects = process(read_study([tmp_path]), Tools(Unsure(), NOW))
    seg = pydicom.dcmread(io.BytesIO(objects[0].data))
    numbers = {f.SegmentIdentificationSequence[0].ReferencedSegmentNumber for f in seg.PerFrameFunctionalGroupsSequence}
    assert 3 not in numbers
    assert numbers == {s.label for s in STRUCTURES} - {3}
    assert PROBABILITY.code in seg.SegmentSequence[2].SegmentDescription
    groups = hd.sr.srread(io.BytesIO(objects[1].data)).content.get_volumetric_roi_measurement_groups()
    assert [len(group.get_measurements()) for group in groups] == [0 if s.label == 3 else 1 for s in STRUCTURES]
    assert PROBABILITY.code in objects[1].data.decode("utf-8", "ignore")
    assert not (report.labels.array == 3).any()
